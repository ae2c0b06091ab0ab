"""Images by the real `openai` package, from vendors that make them in ways of their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import openai
import pytest
from openai import AsyncOpenAI

from proxy.config.structs import Credential
from proxy.config.types import Secret
from tests.e2e.stage import CREDENTIAL, Gate, Stage, route
from tests.e2e.vendors import replicate, stability
from tests.e2e.vendors.replay import Answer, Replay
from tests.e2e.vendors.stand import ONCE
from tests.proxy.vendor import until

PNG = b"\x89PNG\r\n\x1a\n" + b"." * 32


class Studio(NamedTuple):
    """A vendor of images behind a gateway."""

    replay: Replay
    gate: Gate
    client: AsyncOpenAI

    async def draw(self, *answers: Answer, **more: Any) -> Any:
        """Ask for an image while the vendor answers with these in turn."""
        self.replay.answers += answers
        return await self.client.images.generate(model="any", prompt="a cat", **more)


@contextlib.asynccontextmanager
async def studio(stage: Stage, adapter: str, model: str, base: str = "") -> AsyncIterator[Studio]:
    """Stand one up."""
    async with Replay() as replay:
        settings = {
            "adapter": adapter,
            "base_url": replay.url + base,
            "credentials": [Credential(value=Secret(CREDENTIAL))],
        }
        routes = {"*": route(f"drawing/{model}")}
        gate = await stage.open(
            vendors=(), providers={"drawing": settings}, routes=routes, defaults=ONCE
        )
        async with gate.client(timeout=20) as client:
            yield Studio(replay, gate, client)


def predicting(stage: Stage) -> contextlib.AbstractAsyncContextManager[Studio]:
    """Stand Replicate up."""
    return studio(stage, "replicate", replicate.MODEL, replicate.BASE)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once."""
    monkeypatch.setattr("adapters.replicate.POLL_S", 0.001)


async def test_a_prediction_is_asked_for_until_it_is_done(stage: Stage) -> None:
    """Asked for once, then followed with the same credential; the client sees one answer."""
    working = [replicate.prediction(status) for status in ("starting", "processing", "processing")]
    async with predicting(stage) as here:
        found = await here.draw(*working, replicate.DONE, n=1, size="512x768")
        lines = [asked.line for asked in here.replay.requests]
        sent = {asked.headers["authorization"] for asked in here.replay.requests}
        body = here.replay.requests[0].body
    assert [image.url for image in found.data] == [replicate.URL]
    assert lines == [replicate.ASKED, *[replicate.POLLED] * 3]
    assert sent == {f"Bearer {CREDENTIAL}"}
    assert b'"width":512,"height":768' in body


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (replicate.FAILED, 502, "upstream_error"),
        (replicate.REFUSED, 400, "content_filter"),
        (replicate.NO_MONEY, 402, "invalid_request"),
    ],
    ids=["failed", "refused", "unpaid"],
)
async def test_predictions_that_fail(stage: Stage, answer: Answer, status: int, code: str) -> None:
    """A failure inside a 200 is one, and a model's own filter is the client's affair."""
    async with predicting(stage) as here:
        with pytest.raises(openai.APIStatusError) as raised:
            await here.draw(replicate.prediction("starting"), answer)
    assert (raised.value.status_code, raised.value.code) == (status, code)


async def test_nobody_asks_on_for_a_client_that_left(stage: Stage) -> None:
    """The worker is free as soon as the client has gone."""
    async with predicting(stage) as here:
        working = [replicate.prediction("processing")] * 10_000
        drawing = asyncio.ensure_future(here.draw(*working))
        await until(lambda: len(here.replay.requests) > 3)
        drawing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drawing
        await until(lambda: here.gate.unit("drawing").busy == 0)


async def test_a_form_goes_in_and_an_image_comes_out(stage: Stage) -> None:
    """Stability takes forms; of a size it takes the ratio, which is said."""
    async with studio(stage, "stability", stability.MODEL) as here:
        here.replay.answers.append(stability.DONE)
        create = here.client.images.with_raw_response.generate
        found = await create(model="any", prompt="a cat «é»", size="1536x1024")
        asked = here.replay.last
    assert [image.b64_json for image in found.parse().data or ()] == [stability.IMAGE]
    assert found.headers["x-headgate-dropped"].startswith("size;reason=")
    assert asked.line == stability.ASKED
    sent = stability.fields(asked.headers["content-type"], asked.body)
    assert sent == {"prompt": "a cat «é»", "aspect_ratio": "3:2"}


@pytest.mark.parametrize("answer", [stability.BLURRED, stability.REFUSED], ids=["200", "403"])
async def test_images_that_the_vendor_refuses(stage: Stage, answer: Answer) -> None:
    """Whether it says so by a status or in a 200."""
    async with studio(stage, "stability", stability.MODEL) as here:
        with pytest.raises(openai.BadRequestError) as raised:
            await here.draw(answer)
    assert raised.value.code == "content_filter"


async def test_an_image_that_comes_as_bytes(stage: Stage) -> None:
    """Hugging Face's tasks answer with the file itself."""
    async with studio(stage, "huggingface", "black-forest-labs/FLUX.1-dev") as here:
        found = await here.draw(Answer([PNG], "image/png"), size="64x64")
    assert [base64.b64decode(image.b64_json) for image in found.data] == [PNG]

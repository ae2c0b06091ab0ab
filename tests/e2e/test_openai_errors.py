"""What goes wrong is the exception the `openai` package's users catch, and is not multiplied."""

from __future__ import annotations

from collections.abc import AsyncIterable

import openai
import pytest
from openai import APIConnectionError, APIError, APIStatusError
from openai.types.chat import ChatCompletionMessageParam

from proxy.config.structs import Credential, Hold, Key, Server, Timeouts
from proxy.config.types import Secret
from tests.e2e.stage import KEY, Gate, Stage, route

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]

KINDS: dict[str, tuple[type[APIStatusError], int, str]] = {
    "status-400": (openai.BadRequestError, 400, "invalid_request"),
    "status-404": (openai.NotFoundError, 404, "invalid_request"),
    "status-409": (openai.ConflictError, 409, "invalid_request"),
    "status-422": (openai.UnprocessableEntityError, 422, "invalid_request"),
    "context": (openai.BadRequestError, 400, "context_length_exceeded"),
    "filter": (openai.BadRequestError, 400, "content_filter"),
    "status-401": (openai.InternalServerError, 502, "upstream_auth"),
    "status-403": (openai.InternalServerError, 502, "upstream_auth"),
    "status-429": (openai.RateLimitError, 429, "upstream_rate_limited"),
    "status-500": (openai.InternalServerError, 502, "upstream_error"),
    "status-529": (openai.InternalServerError, 502, "upstream_error"),
    "html": (openai.InternalServerError, 502, "upstream_error"),
    "bad-json": (openai.InternalServerError, 502, "upstream_bad_response"),
    "malformed": (openai.InternalServerError, 502, "upstream_bad_response"),
    "garbage": (openai.InternalServerError, 502, "upstream_bad_response"),
    "empty": (openai.InternalServerError, 502, "upstream_bad_response"),
    "error-200": (openai.InternalServerError, 502, "upstream_error"),
    "reset": (openai.InternalServerError, 502, "upstream_unreachable"),
    "cut": (openai.InternalServerError, 502, "upstream_truncated"),
    "wrong-length": (openai.InternalServerError, 502, "upstream_truncated"),
}
ATTEMPTS = 3
ONCE = {"status-400", "status-404", "status-422", "context", "filter", "status-401", "status-403"}


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open()


@pytest.mark.parametrize(("fault", "kind"), KINDS.items(), ids=KINDS.keys())
async def test_a_vendors_failure_is_the_right_exception_after_our_attempts_alone(
    stage: Stage, gate: Gate, fault: str, kind: tuple[type[APIStatusError], int, str]
) -> None:
    """The package, which would try thrice, sees `x-should-retry: false` and tries once."""
    async with gate.client(max_retries=2) as client:
        with pytest.raises(kind[0]) as raised:
            await client.chat.completions.create(
                model=f"sim:fault={fault},retry_after=0", messages=HELLO
            )
    error = raised.value
    assert (error.status_code, error.code) == kind[1:]
    assert error.response.headers["x-should-retry"] == "false"
    assert error.request_id
    assert isinstance(error.body, dict)
    assert error.body["request_id"] == error.request_id
    assert error.body["origin"] == "upstream"
    attempts = 1 if fault in ONCE else ATTEMPTS
    assert stage.stats().requests == attempts
    assert error.response.headers["x-headgate-attempts"] == str(attempts)


async def test_a_vendors_words_and_field_arrive(gate: Gate) -> None:
    """Its message and `param`, and its status beside ours."""
    async with gate.client() as client:
        with pytest.raises(openai.BadRequestError) as raised:
            await client.chat.completions.create(model="sim:fault=context", messages=HELLO)
    assert "maximum context length" in str(raised.value)
    assert raised.value.param == "messages"


async def test_a_vendors_retry_after_arrives(stage: Stage) -> None:
    """The seconds until it makes sense, as the vendor said."""
    gate = await stage.open()
    async with gate.client() as client:
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(
                model="sim:fault=status-429,retry_after=17s", messages=HELLO
            )
    assert raised.value.response.headers["retry-after"] in ("16", "17")


async def test_a_wrong_key_is_an_authentication_error(stage: Stage, gate: Gate) -> None:
    """And is the client's fault: our credential at the vendor has nothing to do with it."""
    for key in ("wrong", KEY + "x", KEY[:-1], KEY.upper()):
        async with gate.client(api_key=key, max_retries=2) as client:
            with pytest.raises(openai.AuthenticationError) as raised:
                await client.chat.completions.create(model="sim", messages=HELLO)
            assert raised.value.code == "invalid_api_key"
            assert key not in str(raised.value.body)
            with pytest.raises(openai.AuthenticationError):
                await client.files.list()
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
    assert stage.stats().requests == 0


async def test_a_key_for_other_routes_is_a_permission_error(stage: Stage) -> None:
    """It is told by the name it asked for, and sees only what it may use."""
    keys = [Key(name="narrow", value=Secret(KEY), routes=["fast", "cheap-*"])]
    routes = {"fast": route("sim"), "slow": route("sim"), "cheap-1": route("sim")}
    gate = await stage.open(keys=keys, routes=routes)
    async with gate.client() as client:
        assert (await client.chat.completions.create(model="fast", messages=HELLO)).id
        for model in ("slow", "sim/fast"):
            with pytest.raises(openai.PermissionDeniedError) as raised:
                await client.chat.completions.create(model=model, messages=HELLO)
            assert (raised.value.code, raised.value.param) == ("not_allowed", "model")
        assert {model.id async for model in client.models.list()} == {"fast", "cheap-1"}
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("slow")


async def test_a_wrong_credential_is_not_the_clients_fault(stage: Stage) -> None:
    """502, and not a word of what the vendor said about our key."""
    wrong = [Credential(value=Secret("sk-wrong-credential"))]
    gate = await stage.open(providers={"sim": {"credentials": wrong}})
    async with gate.client(max_retries=2) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="sim", messages=HELLO)
        assert raised.value.code == "upstream_auth"
        assert "sk-wrong" not in str(raised.value.body)
        with pytest.raises(openai.InternalServerError):
            await client.files.list()


async def test_nobody_behind_the_address_is_502(stage: Stage) -> None:
    """A vendor that cannot be reached, at once."""
    nowhere = {"base_url": "http://127.0.0.1:9/v1"}
    gate = await stage.open(vendors=(), providers={"sim": nowhere})
    async with gate.client(max_retries=2) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="sim", messages=HELLO)
        assert (raised.value.status_code, raised.value.code) == (502, "upstream_unreachable")
        with pytest.raises(openai.InternalServerError):
            await client.models.with_raw_response.delete("x")


async def test_a_timeout_is_504(stage: Stage) -> None:
    """The gateway's answer comes before the package gives up by itself."""
    gate = await stage.open(timeouts=Timeouts(total=0.2))
    async with gate.client(max_retries=2) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="sim:fault=hang", messages=HELLO)
    assert (raised.value.status_code, raised.value.code) == (504, "upstream_timeout")
    assert stage.stats().requests == 1


async def test_the_packages_own_time_limit_reaches_the_gateway(stage: Stage) -> None:
    """Whoever waits a quarter of a second gets an answer about it, and the vendor is let go."""
    gate = await stage.open()
    async with gate.client(timeout=0.25) as client:
        with pytest.raises((openai.InternalServerError, openai.APITimeoutError)):
            await client.chat.completions.create(model="sim:fault=hang", messages=HELLO)


async def test_a_full_queue_may_be_tried_again_by_the_package(stage: Stage) -> None:
    """`x-should-retry: true` and a time: each of its three tries is refused."""
    gate = await stage.open(providers={"sim": {"workers": 1, "queue": 0}})
    unit = gate.unit()
    assert unit.try_enter()
    async with gate.client(max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(model="sim", messages=HELLO)
    assert (raised.value.status_code, raised.value.code) == (503, "queue_full")
    assert raised.value.response.headers["x-should-retry"] == "true"
    unit.leave(0.0)
    assert stage.stats().requests == 0


async def collect(stream: AsyncIterable[object]) -> list[object]:
    return [each async for each in stream]


CUTS = ["cut,cut=3000", "cut-clean,cut_clean=3000", "no-done", "error-200,at=20", "malformed,at=20"]


@pytest.mark.parametrize("fault", CUTS)
async def test_a_stream_that_breaks_raises_and_never_just_ends(gate: Gate, fault: str) -> None:
    """Chat: what came is kept, then the loop raises."""
    async with gate.client(max_retries=2) as client:
        stream = await client.chat.completions.create(
            model=f"sim:chunks=40,bytes=10,fault={fault}", messages=HELLO, stream=True
        )
        assert (await anext(stream)).choices
        with pytest.raises((APIError, APIConnectionError)):
            await collect(stream)


@pytest.mark.parametrize("fault", CUTS[:2])
async def test_other_streams_that_break_raise_too(gate: Gate, fault: str) -> None:
    """Completions raise; responses end as failed, which is how that operation says it."""
    async with gate.client() as client:
        stream = await client.completions.create(
            model=f"sim:chunks=40,bytes=10,fault={fault}", prompt="x", stream=True
        )
        with pytest.raises((APIError, APIConnectionError)):
            await collect(stream)
        model = f"sim:chunks=40,bytes=10,fault={fault}"
        events = await client.responses.create(model=model, input="x", stream=True)
        kinds = [event.type async for event in events]
        assert kinds[-1] == "response.failed"
        assert "response.completed" not in kinds


async def test_a_stream_that_stalls_raises(stage: Stage) -> None:
    """Silence has a limit, before the first token and after it."""
    gate = await stage.open(
        timeouts=Timeouts(first_token=0.2, idle=0.2), server=Server(hold=Hold(time=0.05), grace=1)
    )
    async with gate.client() as client:
        for fault in ("hang-body,at=0", "hang-body,at=20"):
            stream = await client.chat.completions.create(
                model=f"sim:chunks=40,bytes=10,fault={fault}", messages=HELLO, stream=True
            )
            with pytest.raises(APIError) as raised:
                await collect(stream)
            assert raised.value.code == "upstream_timeout"

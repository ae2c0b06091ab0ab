"""The corpus of real exchanges, and what a client of OpenAI's SDK makes of our answers.

The corpus lies beside the project and is no part of it; what needs it is skipped without it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.adapter import Operation, UpstreamResponse
from proxy.errors import GatewayError, UpstreamBadResponse, UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Chunk, Usage
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"
RECORDINGS = ROOT / "tests" / "recordings"
CUTS = 40
"""Places at which each stream is cut in two, beside the whole and the bytes one by one."""


class Exchange(NamedTuple):
    """One recorded exchange."""

    name: str
    document: dict[str, Any]

    @property
    def path(self) -> str:
        """The path of the request, without its query."""
        return str(self.document["request"]["path"]).partition("?")[0]

    @property
    def asked(self) -> Any:
        """The body of the request, or None where it was not kept."""
        return self.document["request"]["body"]

    @property
    def answered(self) -> Any:
        """The body of the answer, as JSON or as what holds its text."""
        return self.document["response"]["body"]

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.document["response"]["status"])

    @property
    def stream(self) -> bytes | None:
        """The bytes of a streamed answer."""
        body = self.answered
        text = body.get("sse_text") or body.get("ndjson_text") if isinstance(body, dict) else None
        return None if text is None else text.encode()

    @property
    def given(self) -> UpstreamResponse:
        """A whole answer as an adapter gets it."""
        headers = tuple((self.document["response"]["headers"] or {}).items())
        return UpstreamResponse(self.status, headers, json.dumps(self.answered).encode())


def exchanges(vendor: str) -> Iterator[Exchange]:
    """Yield a vendor's exchanges."""
    for path in sorted(CORPUS.glob(f"{vendor}-*.json")):
        yield Exchange(path.stem, json.loads(path.read_text(encoding="utf-8")))


class Said(NamedTuple):
    """What a client has in the end.

    Attributes:
        calls: id, name and arguments (decoded) of each.
    """

    text: str
    reasoning: str
    calls: list[tuple[str, str, Any]]
    finish: str | None
    usage: Usage | None
    annotations: list[Any]


class Replayed:
    """What a stream gave: chunks, what they come to, and what cut it."""

    def __init__(self, operation: Operation, pieces: Sequence[bytes]) -> None:
        assert operation.stream is not None
        framer, self.translator = operation.framer(), operation.stream(0)
        self.chunks: list[Chunk] = []
        self.error: GatewayError | None = None
        try:
            for piece in pieces:
                for event in framer.feed(piece):
                    self.chunks += self.translator.feed(event)
            self._rest(framer.close())
            self.chunks += self.translator.close()
        except GatewayError as error:
            self.error = error

    def _rest(self, events: Sequence[Event]) -> None:
        """What ends inside an event was cut: so the relay tells it."""
        try:
            for event in events:
                self.chunks += self.translator.feed(event)
        except UpstreamBadResponse as error:
            raise UpstreamTruncated(error.message) from None

    @property
    def documents(self) -> list[bytes]:
        """The chunks' JSON."""
        return [chunk.data for chunk in self.chunks]

    def said(self) -> Said:
        """Put the chunks together as OpenAI's clients do, and check their shape and order."""
        text = reasoning = ""
        calls: dict[int, list[str]] = {}
        annotations: list[Any] = []
        finish: str | None = None
        for chunk in self.chunks:
            document = json.loads(chunk.data)
            ChatCompletionChunk.model_validate(document)
            if chunk.usage_only:
                assert finish is not None
                assert chunk is self.chunks[-1]
                continue
            assert finish is None
            (choice,) = document["choices"]
            delta, finish = choice["delta"], choice["finish_reason"]
            text += delta.get("content") or ""
            reasoning += delta.get("reasoning_content") or ""
            annotations += delta.get("annotations") or []
            for call in delta.get("tool_calls") or []:
                function = call["function"]
                if "id" in call:
                    assert call["index"] == len(calls)
                    calls[call["index"]] = [call["id"], function["name"], ""]
                calls[call["index"]][2] += function["arguments"]
        made = [(call_id, name, json.loads(given)) for call_id, name, given in calls.values()]
        return Said(text, reasoning, made, finish, self.translator.usage, annotations)


def replayed(operation: Operation, stream: bytes) -> Replayed:
    """Run a stream whole, byte by byte and cut in two: the chunks must be the same."""
    whole = Replayed(operation, [stream])
    splits = [[stream[i : i + 1] for i in range(len(stream))]]
    splits += [[stream[:place], stream[place:]] for place in places(stream)]
    for pieces in splits:
        again = Replayed(operation, pieces)
        assert again.documents == whole.documents
        assert again.translator.usage == whole.translator.usage
        assert again.translator.memory == whole.translator.memory
    return whole


def places(stream: bytes) -> list[int]:
    """Return where a stream is cut: the same places in every run."""
    count = min(CUTS, len(stream) - 1)
    return random.Random(len(stream)).sample(range(1, len(stream)), count)


def whole(operation: Operation, given: UpstreamResponse) -> Said:
    """Translate a whole answer, check its shape, and return what a client has."""
    response = operation.response(given, 0)
    document = json.loads(response.body)
    ChatCompletion.model_validate(document)
    (choice,) = document["choices"]
    message = choice["message"]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or []
    ]
    return Said(
        message["content"] or "",
        message.get("reasoning_content") or "",
        calls,
        choice["finish_reason"],
        response.usage,
        message.get("annotations") or [],
    )


def turn(operation: Operation, recording: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the assistant's message of a recording of our own, and what was to be remembered."""
    body = (RECORDINGS / f"{recording}.json").read_bytes()
    response = operation.response(UpstreamResponse(200, (), body), 0)
    return json.loads(response.body)["choices"][0]["message"], response.memory

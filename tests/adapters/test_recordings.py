"""Every adapter against recorded bytes: whole, byte by byte, cut in two at every place.

A recording is `tests/recordings/<vendor>/<operation>-<what it shows>.…`:

    .stream   the vendor's bytes; .chunks the chunks they give, a line of JSON each
    .cut      beside a stream that fails: class and message of its error
    .json     a whole answer; .answer what the client gets, where it is not the same bytes
    .usage    beside either: the tokens it used; without it none are reported
    .error    an answer that is an error, and the class, message, … the client meets
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from proxy import registry
from proxy.adapter import Operation, UpstreamResponse
from proxy.errors import GatewayError, UpstreamTruncated
from proxy.wire import Chunk, Usage

FOLDER = Path(__file__).parent.parent / "recordings"
CREATED = 1_764_000_000


def recordings(suffix: str) -> list[Any]:
    """Return the recordings of one sort as parameters."""
    found = sorted(FOLDER.glob(f"*/*.{suffix}"))
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in found]


def operation_of(path: Path) -> Operation:
    """Return the operation that a recording is one of."""
    return registry.adapter(path.parent.name).operations[path.stem.partition("-")[0]]


def beside(path: Path, suffix: str) -> Any:
    """Return the JSON beside a recording, or None."""
    other = path.with_suffix(f".{suffix}")
    return json.loads(other.read_bytes()) if other.exists() else None


def usage_of(path: Path) -> Usage | None:
    """Return the usage a recording reports."""
    found = beside(path, "usage")
    return None if found is None else Usage(**found)


class Translated:
    """What a stream gave: its chunks, its usage, and what cut it."""

    def __init__(self, operation: Operation, pieces: Iterable[bytes]) -> None:
        assert operation.stream is not None
        framer, translator = operation.framer(), operation.stream(CREATED)
        self.chunks: list[Chunk] = []
        self.error: GatewayError | None = None
        try:
            for piece in pieces:
                for event in framer.feed(piece):
                    self.chunks += translator.feed(event)
            for event in framer.close():
                self.chunks += translator.feed(event)
            self.chunks += translator.close()
        except GatewayError as error:
            self.error = error
        self.usage = translator.usage
        self.ended = translator.ended

    @property
    def documents(self) -> list[bytes]:
        """The chunks' JSON; comments have none."""
        return [chunk.data for chunk in self.chunks if chunk.data]


def splits(stream: bytes) -> Iterable[list[bytes]]:
    """Cut a stream in two at every place, and into its bytes."""
    yield [stream]
    yield [stream[i : i + 1] for i in range(len(stream))]
    yield from ([stream[:i], stream[i:]] for i in range(1, len(stream)))


@pytest.mark.parametrize("path", recordings("stream"))
def test_any_split_gives_the_same_chunks(path: Path) -> None:
    """Where the network cuts the stream does not matter."""
    expected = path.with_suffix(".chunks").read_bytes().removesuffix(b"\n").split(b"\n")
    cut = beside(path, "cut")
    for pieces in splits(path.read_bytes()):
        found = Translated(operation_of(path), pieces)

        assert found.documents == [line for line in expected if line]
        assert found.usage == usage_of(path)
        assert found.ended is (cut is None)
        if cut is None:
            assert found.error is None
        else:
            assert type(found.error).__name__ == cut["class"]
            assert str(found.error) == cut["message"]


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_that_stops_before_its_end_is_an_error(path: Path) -> None:
    """Between any two events it is told as truncated, not as whole."""
    stream, operation = path.read_bytes(), operation_of(path)
    framer, size = operation.framer(), 0
    blocks = [event.block for event in framer.feed(stream)]
    for block in blocks[:-1]:
        found = Translated(operation, [stream[:size]])
        size += len(block)
        assert isinstance(found.error, UpstreamTruncated)
        assert found.ended is False


@pytest.mark.parametrize("path", recordings("stream"))
def test_content_once_begun_goes_on(path: Path) -> None:
    """From the first content on nothing is retried; the first chunk alone has none."""
    found = Translated(operation_of(path), [path.read_bytes()])
    content = [chunk.content for chunk in found.chunks if chunk.data and not chunk.usage_only]

    assert content == sorted(content)
    assert any(content) or found.error is not None


@pytest.mark.parametrize("path", recordings("json"))
def test_a_whole_answer_is_read(path: Path) -> None:
    """Same dialect: the same bytes; and the usage it reports."""
    body = path.read_bytes()
    response = operation_of(path).response(UpstreamResponse(200, (), body), CREATED)
    answer = beside(path, "answer")

    assert response.usage == usage_of(path)
    assert response.body == body if answer is None else json.loads(response.body) == answer


@pytest.mark.parametrize("path", recordings("error"))
def test_an_error_is_read(path: Path) -> None:
    """Class, message and wait are those the client meets."""
    case = json.loads(path.read_bytes())
    headers = tuple((name, value) for name, value in case["headers"])
    given = UpstreamResponse(case["status"], headers, case["body"].encode())
    if case["status"] >= 300:
        error: GatewayError = registry.adapter(path.parent.name).error(given)
    else:
        with pytest.raises(GatewayError) as caught:
            operation_of(path).response(given, CREATED)
        error = caught.value

    assert (type(error).__name__, error.message) == (case["class"], case["message"])
    assert (error.param, error.retry_after_s) == (case.get("param"), case.get("retry_after_s"))


@pytest.mark.parametrize("path", recordings("error"))
def test_an_error_of_other_bytes_is_still_the_vendors(path: Path) -> None:
    """No mistake of ours, whatever stands in the body: half of it, other bytes, a deep nest."""
    case = json.loads(path.read_bytes())
    adapter, body = registry.adapter(path.parent.name), case["body"].encode()
    nest = b'{"error":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    for odd in (body[: len(body) // 2], body.replace(b"e", b"\xff"), nest, b"[]", b"null", b'"x"'):
        error = adapter.error(UpstreamResponse(max(case["status"], 400), (), odd))
        assert isinstance(error, GatewayError)
        assert error.origin == "upstream"

"""One stream as a machine: any split of the vendor's bytes gives the client the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from adapters import openai
from proxy.errors import (
    ContentFiltered,
    GatewayError,
    NotAllowed,
    UpstreamBadResponse,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamTruncated,
)
from proxy.hooks import Filter
from proxy.relay import Cut, Relay
from proxy.wire import Chunk, Usage

CHAT = openai.operations["chat"]
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
HI = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"broke","type":"server_error"}}\n\n'


def relay(filters: Sequence[Filter] = (), *, strip_usage: bool = False) -> Relay:
    """Return a relay of OpenAI's own dialect."""
    assert CHAT.stream is not None
    return Relay(CHAT, CHAT.stream(0), filters, strip_usage=strip_usage)


def splits(stream: bytes) -> Iterable[list[bytes]]:
    """Cut a stream in two everywhere, and into its bytes."""
    yield [stream]
    yield from ([stream[:i], stream[i:]] for i in range(1, len(stream)))
    yield [stream[i : i + 1] for i in range(len(stream))]


def run(machine: Relay, pieces: Iterable[bytes]) -> tuple[bytes, GatewayError | None]:
    """Return what the client gets, and what cut it."""
    out = b""
    try:
        for piece in pieces:
            out += machine.feed(piece)
        return out + machine.close(), None
    except Cut as cut:
        return out + cut.before, cut.error


@pytest.mark.parametrize(
    "done", [DONE, b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]"]
)
def test_a_stream_goes_out_as_it_came(done: bytes) -> None:
    """Every byte, comments and the vendor's own way to write its end marker included."""
    stream = ROLE + COMMENT + HI + STOP + USAGE + done
    for pieces in splits(stream):
        machine = relay()
        out, error = run(machine, pieces)

        assert (out.removesuffix(b"\n\n"), error) == (stream.removesuffix(b"\n\n"), None)
        assert (machine.usage, machine.ended) == (Usage(3, 0, 2, 0), True)


def test_carriage_returns_go_out_as_they_came() -> None:
    """The line ends of a stream are the vendor's."""
    stream = (HI + STOP + DONE).replace(b"\n\n", b"\r\n\r\n")
    for pieces in splits(stream):
        assert run(relay(), pieces) == (stream, None)


def test_the_end_marker_goes_out_with_the_vendors() -> None:
    """The end of the body may come much later."""
    machine = relay()
    machine.feed(HI)

    assert (machine.ended, machine.feed(DONE), machine.ended) == (False, DONE, True)
    assert machine.close() == b""


@pytest.mark.parametrize("strip", [True, False])
def test_usage_is_left_out_where_the_client_did_not_ask(strip: bool) -> None:
    """We asked for it and keep it; nothing else of the stream is missing."""
    for pieces in splits(HI + USAGE + DONE):
        machine = relay(strip_usage=strip)
        out, _ = run(machine, pieces)

        assert out == (HI + DONE if strip else HI + USAGE + DONE)
        assert machine.usage == Usage(3, 0, 2, 0)


def test_usage_beside_content_is_not_left_out() -> None:
    """Some vendors write it into each chunk."""
    both = b'data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}\n\n'

    assert run(relay(strip_usage=True), [both + DONE]) == (both + DONE, None)


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (ROLE, False),
        (COMMENT, False),
        (USAGE, False),
        (b'data: {"choices":[],"prompt_filter_results":[{}]}\n\n', False),
        (
            b'data: {"choices":[{"delta":{"content":null,"tool_calls":[],"refusal":null}}]}\n\n',
            False,
        ),
        (b'data: {"choices":[{"delta":null,"finish_reason":null}]}\n\n', False),
        (b'data: {"choices":[{"text":""}]}\n\n', False),
        (HI, True),
        (STOP, True),
        (b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"new_field":1}}]}\n\n', True),
        (b'data: {"choices":[{"text":"x"}]}\n\n', True),
        (b'data: {"choices":[{"delta":{}},{"delta":{"content":"x"}}]}\n\n', True),
        (b'data: {"choices":"something else"}\n\n', True),
    ],
)
def test_content_begins_with_the_first_part_of_an_answer(block: bytes, content: bool) -> None:
    """Until then every failure may be retried elsewhere."""
    for pieces in splits(block):
        machine = relay()
        for piece in pieces:
            machine.feed(piece)
        assert machine.content is content


def test_an_end_marker_is_no_content() -> None:
    """A stream of nothing else is over, and empty."""
    machine = relay()
    machine.feed(DONE)

    assert (machine.content, machine.ended) == (False, True)


@pytest.mark.parametrize("before", [b"", ROLE, HI, HI + USAGE])
def test_a_vendors_error_cuts_the_stream(before: bytes) -> None:
    """What came before it goes out; the error itself is told in our words, without an end."""
    for pieces in splits(before + ERROR + DONE):
        out, error = run(relay(), pieces)

        assert out == before
        assert isinstance(error, UpstreamFailed)
        assert error.message == "broke"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b'{"error":{"message":"x","code":"rate_limit_exceeded"}}', UpstreamRateLimited),
        (b'{"error":{"message":"x","code":429}}', UpstreamRateLimited),
        (b'{"error":{"message":"x","code":"429"}}', UpstreamRateLimited),
        (b'{"error":{"message":"x","code":502}}', UpstreamFailed),
        (b'{"error":{"message":"x","code":9999}}', UpstreamFailed),
        (b'{"error":{"message":"x","code":"\xc2\xb2\xc2\xb2\xc2\xb2"}}', UpstreamFailed),
        (b'{"error":{"code":"content_filter","type":"invalid_request_error"}}', ContentFiltered),
        (b'{"error":"overloaded"}', UpstreamFailed),
        (b'{"error":{}}', UpstreamFailed),
        (b'{"error":[1]}', UpstreamFailed),
        (b'{"error":{"message":{"nested":1}}}', UpstreamFailed),
        (b'{"object":"error","message":"x","type":"BadRequestError","code":400}', GatewayError),
        (b"no json", UpstreamBadResponse),
        (b"{", UpstreamBadResponse),
        (b"[1]", UpstreamBadResponse),
        (b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", UpstreamBadResponse),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value[:48].decode("latin-1"),
)
def test_an_error_inside_a_stream_has_the_class_it_would_have_had(
    said: bytes, kind: type[GatewayError]
) -> None:
    """Whatever the vendor says, it is the vendor's error and never one of ours."""
    out, error = run(relay(), [b"data: " + said + b"\n\n"])

    assert out == b""
    assert isinstance(error, kind)
    assert error.origin == "upstream"


@pytest.mark.parametrize(
    "odd",
    [
        b'{"choices":null,"usage":{"prompt_tokens":3}}',
        b'{"choices":[{"delta":{"content":"x"}}],"usage":"none"}',
        b'{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3.0}}',
        b'{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens_details":[]}}',
        b'{"choices":[{"delta":{"content":"x"},"finish_reason":3}],"usage":{"prompt_tokens":3}}',
        b'{"choices":[{"delta":{"content":"x"}}],"error":null}',
        b'{"choices":[{"text":"\xff"}]}',
    ],
)
def test_what_we_do_not_understand_passes_unchanged(odd: bytes) -> None:
    """A field of another type than OpenAI's is no reason to take the answer away."""
    stream = b"data: " + odd + b"\n\n" + DONE

    assert run(relay(), [stream]) == (stream, None)


@pytest.mark.parametrize("stream", [b"", ROLE, HI, HI + STOP, HI + USAGE, HI + b": x\n\n"])
def test_a_stream_without_its_end_marker_is_cut(stream: bytes) -> None:
    """A cut stream is never taken for a whole one, not even after a finish reason."""
    for pieces in splits(stream):
        out, error = run(relay(), pieces)

        assert out == stream
        assert isinstance(error, UpstreamTruncated)


def test_a_stream_cut_inside_an_event_is_truncated() -> None:
    """Half an event is a sign of the cut, not a vendor that writes no JSON."""
    stream = ROLE + HI + DONE
    for size in range(len(stream) - len(b"[DONE]\n\n")):
        out, error = run(relay(), [stream[:size]])

        assert stream.startswith(out.rstrip(b"\n"))
        assert isinstance(error, UpstreamTruncated), size


def test_after_the_end_marker_nothing_more_goes_out() -> None:
    """Wherever the network cut: the client has been told that it is over."""
    for pieces in splits(HI + DONE + HI + ERROR):
        assert run(relay(), pieces) == (HI + DONE, None)


class Holding:
    """Keeps everything until the end."""

    def __init__(self) -> None:
        self._held: list[Chunk] = []

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        self._held.append(chunk)
        return ()

    def close(self) -> Sequence[Chunk]:
        return self._held


class Splitting:
    """Makes two of each."""

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        return (chunk, Chunk(b'{"half":2}'))

    def close(self) -> Sequence[Chunk]:
        return ()


class Dropping:
    """Lets nothing through."""

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        return ()

    def close(self) -> Sequence[Chunk]:
        return (Chunk(b'{"sorry":1}'),)


class Cutting:
    """Refuses the second chunk."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._seen = 0

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        self._seen += 1
        if self._seen == 2:
            raise self._error
        return (chunk,)

    def close(self) -> Sequence[Chunk]:
        return ()


def test_what_a_filter_holds_goes_out_before_the_end_marker() -> None:
    """It belongs to the answer."""
    for pieces in splits(HI + STOP + DONE):
        assert run(relay([Holding()]), pieces) == (HI + STOP + DONE, None)


def test_while_a_filter_holds_there_is_no_content() -> None:
    """The client has seen nothing, so another attempt is still possible."""
    machine = relay([Holding()])
    machine.feed(HI)

    assert machine.content is False
    machine.feed(DONE)
    assert machine.content is True


def test_a_filter_may_split_and_drop() -> None:
    """What it makes goes out instead."""
    assert run(relay([Splitting()]), [HI + DONE]) == (HI + b'data: {"half":2}\n\n' + DONE, None)
    assert run(relay([Dropping()]), [HI + COMMENT + DONE]) == (
        COMMENT + b'data: {"sorry":1}\n\n' + DONE,
        None,
    )


def test_a_filter_may_cut_the_stream() -> None:
    """What passed before it goes out; no end marker follows."""
    for pieces in splits(HI + HI + DONE):
        out, error = run(relay([Cutting(NotAllowed("no"))]), pieces)

        assert out == HI
        assert isinstance(error, NotAllowed)


def test_a_filters_own_mistake_is_not_hidden_here() -> None:
    """The border that logs it is the driver's."""
    with pytest.raises(ZeroDivisionError):
        run(relay([Cutting(ZeroDivisionError())]), [HI + HI + DONE])


def test_usage_is_left_out_after_the_filters_have_seen_it() -> None:
    """A budget counts what the client does not get to see."""

    class Watching:
        seen = 0

        def feed(self, chunk: Chunk) -> Sequence[Chunk]:
            self.seen += chunk.usage_only
            return (chunk,)

        def close(self) -> Sequence[Chunk]:
            return ()

    machine = Watching()
    assert run(relay([machine], strip_usage=True), [HI + USAGE + DONE])[0] == HI + DONE
    assert machine.seen == 1

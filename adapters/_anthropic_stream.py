"""A stream of Claude's events to chunks.

States: nothing yet; begun by `message_start`; blocks, each begun, added to and stopped under
its index; ended by `message_stop`. Only what comes before that last event is a whole answer.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from adapters import _anthropic_answer as answers
from adapters import _anthropic_memory as memory
from proxy.chat import DONE, Chunks
from proxy.errors import UpstreamBadResponse, UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Chunk, Usage


class _Delta(msgspec.Struct):
    """What an event adds to a block or, as `message_delta`, to the message."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: msgspec.Raw = msgspec.Raw(b"null")
    stop_reason: str | None = None
    stop_details: answers.StopDetails | None = None


class _Start(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: answers.Spent | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: msgspec.Raw = msgspec.Raw(b"{}")
    message: _Start | None = None
    usage: answers.Spent | None = None
    error: answers.ErrorBody | None = None


_EVENT = msgspec.json.Decoder(_Event)
_CITATION = msgspec.json.Decoder(answers.Citation)
_BLOCK = msgspec.json.Decoder(answers.Block)
_NO_DELTA = _Delta()
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Open:
    """One block while it comes.

    Attributes:
        raw: as it began.
        start: where its text begins in the text of the message, in characters.
        pieces: what was added to its text, its thoughts or its input.
        number: which of the client's calls it is; None if it is none.
    """

    __slots__ = ("block", "citations", "number", "pieces", "raw", "signature", "start")

    def __init__(self, raw: bytes, block: answers.Block, start: int) -> None:
        self.raw = raw
        self.block = block
        self.start = start
        self.pieces: list[str] = []
        self.signature = block.signature or ""
        self.citations: list[msgspec.Raw] = []
        self.number: int | None = None

    def thought(self) -> answers.Block:
        """Return a block of thinking as it is by now."""
        whole, kind = "".join(self.pieces), self.block.type
        return answers.Block(kind, thinking=whole, signature=self.signature, data=self.block.data)

    def encoded(self) -> bytes:
        """Return the block as a whole answer would hold it."""
        kind, whole = self.block.type, "".join(self.pieces)
        if kind == "thinking":
            return msgspec.json.encode(answers.thought(self.thought()))
        members = _MEMBERS.decode(self.raw)
        if kind == "text":
            members["text"] = msgspec.Raw(msgspec.json.encode(whole))
            if self.citations:
                members["citations"] = msgspec.Raw(msgspec.json.encode(self.citations))
        elif whole and _is_json(whole):
            members["input"] = msgspec.Raw(whole.encode())
        return msgspec.json.encode(members)


def _is_json(text: str) -> bool:
    try:
        _MEMBERS.decode(text)
    except answers.MALFORMED:
        return False
    return True


class Stream:
    """Events of one message: a start, blocks one after the other, a stop.

    What belongs to no client call (thoughts, searches, code that the vendor ran) is collected
    and, where calls follow, remembered for the next turn.
    """

    __slots__ = (
        *("_blocks", "_calls", "_chunks", "_created", "_details", "_length", "_open"),
        *("_spent", "_stop", "ended", "last", "memory", "usage"),
    )

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self._created = created
        self._chunks = Chunks("", "", created)
        self._spent = answers.Spent()
        self._open: dict[int, _Open] = {}
        self._blocks: list[_Open] = []
        self._calls: list[str] = []
        self._length = 0
        self._stop: str | None = None
        self._details: answers.StopDetails | None = None

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event is none.
            UpstreamError: it is an error.
        """
        if not event.data:
            return ()
        try:
            seen = _EVENT.decode(event.data)
            handler = _HANDLERS.get(seen.type)
            return () if handler is None else handler(self, seen)
        except answers.MALFORMED:
            raise UpstreamBadResponse("the provider sent an event that cannot be read") from None

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `message_stop` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _message_start(self, event: _Event) -> Sequence[Chunk]:
        message = event.message or _Start()
        self._chunks = Chunks(message.id or "", message.model or "", self._created)
        self._spend(message.usage)
        return (self._chunks.role(),)

    def _block_start(self, event: _Event) -> Sequence[Chunk]:
        block = _BLOCK.decode(event.content_block)
        opened = _Open(bytes(event.content_block), block, self._length)
        self._open[event.index] = opened
        self._blocks.append(opened)
        chunks: list[Chunk] = []
        if block.type == "tool_use":
            opened.number = len(self._calls)
            self._calls.append(block.id or "")
            chunks.append(self._chunks.call(opened.number, block.id or "", block.name or ""))
        if block.text:
            chunks += self._text(opened, block.text)
        if block.thinking:
            chunks += self._thinking(opened, block.thinking)
        return chunks

    def _block_delta(self, event: _Event) -> Sequence[Chunk]:
        opened, delta = self._open.get(event.index), event.delta or _NO_DELTA
        if opened is None:
            raise UpstreamBadResponse("the provider added to a block it had not begun")
        kind = delta.type
        if kind == "text_delta":
            return self._text(opened, delta.text)
        if kind == "input_json_delta":
            return self._input(opened, delta.partial_json)
        if kind == "thinking_delta":
            return self._thinking(opened, delta.thinking)
        if kind == "signature_delta":
            opened.signature += delta.signature or ""
        elif kind == "citations_delta":
            opened.citations.append(delta.citation)
        return ()

    def _text(self, opened: _Open, piece: str | None) -> Sequence[Chunk]:
        if not piece:
            return ()
        opened.pieces.append(piece)
        self._length += len(piece)
        return (self._chunks.text(piece),)

    def _input(self, opened: _Open, piece: str | None) -> Sequence[Chunk]:
        if not piece:
            return ()
        opened.pieces.append(piece)
        return () if opened.number is None else (self._chunks.arguments(opened.number, piece),)

    def _thinking(self, opened: _Open, piece: str | None) -> Sequence[Chunk]:
        if not piece:
            return ()
        opened.pieces.append(piece)
        return (self._chunks.reasoning(piece),)

    def _block_stop(self, event: _Event) -> Sequence[Chunk]:
        opened = self._open.pop(event.index, None)
        if opened is None:
            return ()
        block = opened.block
        if opened.number is not None and not opened.pieces:
            whole = answers.arguments(bytes(block.input))
            return (self._chunks.arguments(opened.number, whole),)
        if block.type in ("thinking", "redacted_thinking"):
            return (self._chunks.delta({"thinking_blocks": [answers.thought(opened.thought())]}),)
        cited = [_CITATION.decode(raw) for raw in opened.citations]
        if not cited:
            return ()
        notes = [each.annotation(opened.start, self._length) for each in cited]
        return (self._chunks.delta({"annotations": notes}),)

    def _message_delta(self, event: _Event) -> Sequence[Chunk]:
        delta = event.delta or _NO_DELTA
        self._stop = delta.stop_reason or self._stop
        self._details = delta.stop_details or self._details
        self._spend(event.usage)
        return ()

    def _message_stop(self, event: _Event) -> Sequence[Chunk]:
        self.ended = True
        if self._calls:
            self.memory = memory.kept([each.encoded() for each in self._blocks], self._calls)
        chunks: list[Chunk] = []
        refused = answers.refusal(self._stop, self._details)
        if refused is not None:
            chunks.append(self._chunks.refusal(refused))
        chunks.append(self._chunks.finish(answers.finish(self._stop, bool(self._calls))))
        if self.usage is not None:
            chunks.append(self._chunks.usage(self.usage))
        return chunks

    def _error(self, event: _Event) -> Sequence[Chunk]:
        raise answers.failed(None, event.error or answers.ErrorBody())

    def _spend(self, spent: answers.Spent | None) -> None:
        if spent is not None:
            self._spent = self._spent.then(spent)
            self.usage = self._spent.normal()


_HANDLERS: dict[str, Callable[[Stream, _Event], Sequence[Chunk]]] = {
    "message_start": Stream._message_start,
    "content_block_start": Stream._block_start,
    "content_block_delta": Stream._block_delta,
    "content_block_stop": Stream._block_stop,
    "message_delta": Stream._message_delta,
    "message_stop": Stream._message_stop,
    "error": Stream._error,
}

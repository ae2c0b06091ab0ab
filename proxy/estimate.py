"""Usage for answers whose vendor reported none: a guess, marked as one.

No tokeniser: it would take longer than all the rest of a request. A token of most languages
is about four bytes of text; a stream brings about one with each chunk.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.wire import Request, Usage

_BYTES_A_TOKEN = 4


def of_stream(request: Request | None, chunks: int) -> Usage:
    """Return a guess for a stream of so many chunks of content."""
    return Usage(input_tokens=_input(request), output_tokens=chunks, estimated=True)


def of_answer(request: Request | None, body: bytes) -> Usage:
    """Return a guess for a whole answer in the client's dialect."""
    return Usage(input_tokens=_input(request), output_tokens=_text(body), estimated=True)


def _input(request: Request | None) -> int:
    if request is None:
        return 0
    said = (request.raw(name) for name in ("messages", "prompt", "input", "instructions"))
    return sum(len(text) for text in said if text is not None) // _BYTES_A_TOKEN


def _text(body: bytes) -> int:
    """Count what the choices of an answer say; an answer without text counts nothing."""
    try:
        choices = msgspec.json.decode(body, type=_Answer).choices
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0
    size = 0
    for choice in choices:
        size += len(choice.text or "")
        size += len(msgspec.json.encode(choice.message)) if choice.message else 0
    return size // _BYTES_A_TOKEN


class _Choice(msgspec.Struct):
    text: str | None = None
    message: dict[str, Any] | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []

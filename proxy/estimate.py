"""Tokens that nobody has counted: a guess before a call, and where a vendor reports no usage.

No tokeniser: it would take longer than all the rest of a request. A token of most languages
is about four bytes of text; a stream brings about one with each chunk. Pictures, sound and
files within a prompt are no text: vendors count their pixels, seconds and pages.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from proxy.wire import Request, Usage

_BYTES_A_TOKEN = 4
_PROMPT = ("messages", "prompt", "input", "instructions", "system", "tools")
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")

_LONG_BYTES = 16_384  # below, a prompt is taken for text without a look
_STRIDE, _PROBE = 4096, 64  # of a longer one, so many bytes of so many are looked at
_ENCODED = re.compile(rb"(?=[0-9A-Za-z+/\\]{64})(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])[^a-z]*[a-z]")
_ENCODED_BYTES_A_TOKEN = 500  # in base64; a photograph of 500 kB has about a thousand tokens


def of_stream(request: Request | None, chunks: int) -> Usage:
    """Return a guess for a stream of so many chunks of content."""
    return Usage(input_tokens=of_prompt(request), output_tokens=chunks, estimated=True)


def of_answer(request: Request | None, body: bytes) -> Usage:
    """Return a guess for a whole answer in the client's dialect."""
    return Usage(input_tokens=of_prompt(request), output_tokens=_text(body), estimated=True)


def of_prompt(request: Request | None) -> int:
    """Return a guess of the tokens that a request's prompt has."""
    return 0 if request is None else of_request(request)[0]


def of_request(request: Request) -> tuple[int, float]:
    """Return a guess of a prompt's tokens, and the most that an answer may have.

    The latter is infinite where the request does not say. Both are kept in the request.
    """
    size = request.size
    if size is None:
        prompt = 0
        for text, start, end in request.spans(_PROMPT):
            prompt += _tokens(text, start, end)
        limits = [text[start:end] for text, start, end in request.spans(_LIMITS)]
        longest = min((int(limit) for limit in limits if limit.isdigit()), default=math.inf)
        size = request.size = (prompt, longest)
    return size


def _tokens(text: bytes, start: int, end: int) -> int:
    """Count what stands between two places of a text; of a long one by samples."""
    size = end - start
    if size < _LONG_BYTES:
        return size // _BYTES_A_TOKEN
    probes = range(start, end - _PROBE, _STRIDE)
    found = sum(1 for at in probes if _ENCODED.match(text, at, at + _PROBE))
    encoded = size * found // len(probes)
    return (size - encoded) // _BYTES_A_TOKEN + encoded // _ENCODED_BYTES_A_TOKEN


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

"""What kind of task a request is, for routes that serve some tasks elsewhere.

The tag `task` says it for certain. Without it, this is a guess by marks that are cheap to see:
it looks at the request's members and at the end of its messages, never at more than a few
thousand bytes, and asks no model. A guess may be wrong: an article about Python is `code` to
it, and a poem about translation `translate`.

    embeddings, images, ...   by the operation
    vision, audio             a picture or a sound among the messages
    tools                     functions are offered
    json                      an object or a schema is asked for
    long                      a prompt of more than 30 000 tokens, by estimate
    code, translate, summarise   by the words of the last message
    chat                      anything else
"""

from __future__ import annotations

import re

from proxy import estimate
from proxy.exchange import Exchange
from proxy.wire import Request

_NOTE = "task"
_LONG_TOKENS = 30_000
_READ_BYTES = 4_000
_GENERATING = frozenset({"chat", "completions", "responses"})

_WORDS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    (
        "code",
        re.compile(
            rb"```|\bdef \w+\(|\bfunction \w+\(|\bclass \w+[:({]|#include\s*<"
            rb"|\bSELECT\b.{1,200}\bFROM\b|\b(?:python|javascript|typescript|rust|golang|java"
            rb"|kotlin|bash|sql|regex|stack ?trace|traceback|compile(?:r|s)?|refactor"
            rb"|unit tests?|pull request|segfault)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "translate",
        re.compile(
            rb"\b(?:translat(?:e|ion)|uebersetz\w*|tradu(?:is\w*|ce\w*|zca|cir|ction|zir|z)|vertaal)\b"
            rb"|\xc3\x9cbersetz|\xc3\xbcbersetz|\xe7\xbf\xbb\xe8\xaf\x91|\xe7\xbf\xbb\xe8\xa8\xb3",
            re.IGNORECASE,
        ),
    ),
    (
        "summarise",
        re.compile(
            rb"\b(?:summar(?:y|i[sz]e\w*)|tl;?dr|zusammenfass\w*|fasse? .{0,200}zusammen"
            rb"|resum(?:e|en|ir|a)|riassum\w*|samenvat\w*)\b|\br\xc3\xa9sum"
            rb"|\xe6\x80\xbb\xe7\xbb\x93|\xe8\xa6\x81\xe7\xb4\x84",
            re.IGNORECASE,
        ),
    ),
)
"""Words of English, German, French, Spanish, Portuguese, Italian, Dutch, Chinese and Japanese."""


def task(exchange: Exchange) -> str:
    """Return the kind of task; worked out once an exchange."""
    found: str | None = exchange.notes.get(_NOTE)
    if found is None:
        found = exchange.notes[_NOTE] = exchange.tags.get("task") or _guess(exchange)
    return found


def _guess(exchange: Exchange) -> str:
    request = exchange.request
    if exchange.operation not in _GENERATING or request is None:
        return exchange.operation
    messages = request.raw("messages") or request.raw("input") or request.raw("prompt") or b""
    return _marked(request, messages) or _worded(messages[-_READ_BYTES:])


def _marked(request: Request, messages: bytes) -> str:
    """Guess by members, and by what is among the messages."""
    if b'"image_url"' in messages or b'"input_image"' in messages:
        return "vision"
    if b'"input_audio"' in messages:
        return "audio"
    if request.raw("tools") not in (None, b"null", b"[]"):
        return "tools"
    shape = (request.raw("response_format") or b"") + (request.raw("text") or b"")
    if b'"json_schema"' in shape or b'"json_object"' in shape:
        return "json"
    return "long" if estimate.of_prompt(request) > _LONG_TOKENS else ""


def _worded(end: bytes) -> str:
    """Guess by the words of the last message of the client."""
    last = end.rpartition(b'"user"')[2]
    return next((kind for kind, words in _WORDS if words.search(last)), "chat")

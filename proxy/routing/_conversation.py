"""What makes two requests one conversation: a number that is the same for both.

Turns of a conversation begin alike: with the same instructions, tools and first message of the
user, byte for byte, because clients send the whole of it again. Only those beginnings are
looked at, and nothing is decoded. The numbers are the same in every process, so all workers
send a conversation to the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from zlib import crc32

from proxy.exchange import ANYONE, Exchange

_HEAD_BYTES = 512  # of what comes first
_TURN_BYTES = 1024  # of the first message of the user
_SHORT_BYTES, _FAR_BYTES = 1024, 65_536  # of what is said; so far that message is looked for
_NEAR_BYTES = 64  # within so many of its beginning or its end a message tells its role
_BRACES = 16  # as many ends of objects are looked at one by one
_USER = b'"user"'  # within a string the quotes have a backslash before them

_BEFORE = ("instructions", "system", "tools", "functions")
_SAID = ("messages", "input", "prompt")
_CACHE_KEY = "prompt_cache_key"
_UNSAID = (b"null", b'""')


def of_client(exchange: Exchange, header: str) -> int:
    """Return a number for who asks: the client key, or the address of who has none."""
    key = exchange.key
    return crc32((exchange.client if key is ANYONE else key.name).encode())


def of_session(exchange: Exchange, header: str) -> int:
    """Return a number for what the client calls its session, else for who asks."""
    session = exchange.headers.get(header)
    return crc32(session.encode()) if session else of_client(exchange, header)


def of_prefix(exchange: Exchange, header: str) -> int:
    """Return a number for how the prompt begins, else for who asks.

    A client that says itself which prompts share a cache (`prompt_cache_key`) is believed.

    Source: https://developers.openai.com/api/docs/guides/prompt-caching (2026-11-26)
    """
    request = exchange.request
    if request is None:
        return of_client(exchange, header)
    if _CACHE_KEY in request.names() and (said := request.raw(_CACHE_KEY)) not in _UNSAID:
        return crc32(said or b"")
    mark = 0
    for text, start, end in request.spans(_BEFORE):
        mark = crc32(text[start : min(end, start + _HEAD_BYTES)], mark)
    for text, start, end in request.spans(_SAID):
        mark = crc32(_opening(text, start, end), mark)
    return mark or of_client(exchange, header)


KEYS: Mapping[str, Callable[[Exchange, str], int]] = {
    "key": of_client,
    "session": of_session,
    "prefix": of_prefix,
}
"""By what `by` says; each takes the exchange and the name of the session's header."""


def _opening(text: bytes, start: int, end: int) -> bytes:
    """Return the beginning of what is said; of messages to within the first one of the user.

    It ends with the first brace closed after the word "user", at the latest with that message,
    so what the conversation says later makes no difference. Where members stand before the
    role, they are among the bytes before the word.
    """
    user = _user(text, start, end)
    if user < 0:
        return text[start : min(end, start + _HEAD_BYTES)]
    closed = text.find(b"}", user, user + _TURN_BYTES)
    stop = closed if closed >= 0 else user + _TURN_BYTES
    if user - start <= 2 * _HEAD_BYTES:
        return text[start:stop]
    return text[start : start + _HEAD_BYTES] + text[user - _HEAD_BYTES : stop]


def _user(text: bytes, start: int, end: int) -> int:
    """Return where a message of the user first tells its role; negative where none does.

    One brace is found many times faster than a word, so in a long text only what is near the
    first few of them is searched for it.
    """
    if end - start <= _SHORT_BYTES:
        return text.find(_USER, start, end)
    end = min(end, start + _FAR_BYTES)
    near = start
    for _ in range(_BRACES):
        user = text.find(_USER, max(start, near - _NEAR_BYTES), min(end, near + _NEAR_BYTES))
        if user >= 0:
            return user
        near = text.find(b"}", near + 1, end)
        if near < 0:
            return -1
    return text.find(_USER, near, end)

"""OpenAI wire format: the only vocabulary shared by adapters, plugins and core.

Two rules. What we do not understand passes unchanged, so requests and chunks travel as
bytes. What nobody looks at is not decoded, so typed views are made on demand.

Source: https://platform.openai.com/docs/api-reference (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from proxy.errors import InvalidRequest

T = TypeVar("T")

_SHALLOW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_MEMBER = re.compile(rb'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*')
_TRUE = b"true"


class Request:
    """A client's JSON body, read one level deep.

    Attributes:
        body: the bytes as they came.
        model: the top-level `model`.
        stream: whether the client asked for a stream.
        size: what `proxy.estimate` has guessed of it; None: nobody asked yet.
    """

    __slots__ = ("_changes", "_fields", "_spans", "body", "model", "size", "stream")

    def __init__(self, body: bytes, *, needs_model: bool = True) -> None:
        """Read `body`; without `needs_model`, a missing `model` is the empty string.

        Raises:
            InvalidRequest: no JSON object, a member twice, no `model`, a wrong type.
        """
        self.body = body
        self._changes: dict[str, bytes] = {}
        self._fields = _decode(body)
        self._spans = _locate(body, self._fields)
        self.size: tuple[int, float] | None = None
        self.stream = self._is_true("stream")
        self.model = self._text("model") if needs_model or "model" in self._fields else ""

    @property
    def content_type(self) -> str:
        """What `encode` returns."""
        return "application/json"

    def __contains__(self, name: str) -> bool:
        return name in self._changes or name in self._fields

    def names(self) -> Collection[str]:
        """Return the names of all members."""
        return self._fields.keys() | self._changes.keys() if self._changes else self._fields.keys()

    def raw(self, name: str) -> bytes | None:
        """Return one member's JSON text, or None if it is absent."""
        if name in self._changes:
            return self._changes[name]
        value = self._fields.get(name)
        return None if value is None else bytes(value)

    def spans(self, names: Iterable[str]) -> list[tuple[bytes, int, int]]:
        """Return where the JSON text of each member that is there stands: in what, from, to.

        For whoever only wants its size or its beginning, which need no copy.
        """
        body, spans, changes = self.body, self._spans, self._changes
        if not changes:
            return [(body, *spans[name]) for name in names if name in spans]
        return [
            (changes[name], 0, len(changes[name])) if name in changes else (body, *spans[name])
            for name in names
            if name in self
        ]

    def get(self, name: str, kind: type[T]) -> T | None:
        """Decode one member; None if it is absent or null.

        Raises:
            InvalidRequest: the member has another type.
        """
        value = self.raw(name)
        if value is None or value == b"null":
            return None
        try:
            return msgspec.json.decode(value, type=kind)
        except msgspec.MsgspecError as error:
            raise InvalidRequest(f"`{name}`: {error}", param=name) from None

    def view(self, kind: type[T]) -> T:
        """Decode all members that `kind` names; the others are ignored.

        Raises:
            InvalidRequest: a member is missing or has another type.
        """
        try:
            return msgspec.json.decode(self.encode(), type=kind)
        except msgspec.MsgspecError as error:
            raise InvalidRequest(str(error), param=_path(error)) from None

    def set(self, name: str, value: object) -> None:
        """Replace or add one member for everything that comes after."""
        self._changes[name] = msgspec.json.encode(value)
        self.size = None
        if name == "model" and isinstance(value, str):
            self.model = value
        elif name == "stream":
            self.stream = value is True

    def changed(self, name: str) -> bool:
        """Whether `set` has replaced this member."""
        return name in self._changes

    def encode(self, replaced: Mapping[str, bytes] | None = None) -> bytes:
        """Return the body with every byte of the untouched members as it came.

        Args:
            replaced: further members to replace or add, as JSON text.
        """
        changes = {**self._changes, **replaced} if replaced else self._changes
        if not changes:
            return self.body
        pieces: list[bytes] = []
        added: list[bytes] = []
        position = 0
        for name, (start, end) in self._spans.items():
            if name in changes:
                pieces += (self.body[position:start], changes[name])
                position = end
        for name, value in changes.items():
            if name not in self._spans:
                added.append(msgspec.json.encode(name) + b":" + value)
        closing = self.body.rindex(b"}")
        pieces.append(self.body[position:closing])
        if added:
            pieces.append((b"," if self._spans else b"") + b",".join(added))
        pieces.append(self.body[closing:])
        return b"".join(pieces)

    def _is_true(self, name: str) -> bool:
        value = self._fields.get(name)
        if value is None or (text := bytes(value)) in (b"false", b"null"):
            return False
        if text != _TRUE:
            raise InvalidRequest(f"`{name}` must be true or false", param=name)
        return True

    def _text(self, name: str) -> str:
        value = self._fields.get(name)
        if value is None:
            raise InvalidRequest(f"`{name}` is missing", param=name)
        try:
            return _STRING.decode(value)
        except msgspec.MsgspecError:
            raise InvalidRequest(f"`{name}` must be a string", param=name) from None


def _decode(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not body.isascii():
            body.decode()
        return _SHALLOW.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    except msgspec.MsgspecError as error:
        reason = "is empty" if not body else f"is not a JSON object: {error}"
        raise InvalidRequest(f"the body {reason}") from None


@lru_cache(maxsize=1024)
def _name(text: bytes) -> str:
    """Decode a member's name; nearly all bodies have the same ones."""
    return _STRING.decode(text)


def _locate(body: bytes, fields: Mapping[str, msgspec.Raw]) -> dict[str, tuple[int, int]]:
    """Return where each member's value stands; two members of one name are an error.

    The decoder kept the last of two; whoever reads the body after us might keep the first
    and so see another request than the one that was checked.
    """
    spans: dict[str, tuple[int, int]] = {}
    position = body.index(b"{") + 1
    while member := _MEMBER.match(body, position):
        name = _name(member.group(1))
        value, start = fields[name], member.end()
        if name in spans or not body.startswith(value, start):
            raise InvalidRequest(f"`{name}` stands twice in the body", param=name)
        position = start + len(memoryview(value))
        spans[name] = (start, position)
    if body[position:].strip() != b"}":  # the last of two was the beginning of the first
        raise InvalidRequest(f"`{name}` stands twice in the body", param=name)
    return spans


def _path(error: Exception) -> str | None:
    """Take `messages[0].role` out of msgspec's "... - at `$.messages[0].role`"."""
    found = re.search(r"`\$\.(.+)`$", str(error))
    return found.group(1) if found else None


class Usage(msgspec.Struct, frozen=True):
    """What an answer used, in tokens.

    Attributes:
        input_tokens: the whole prompt, cached part included.
        cached_tokens: the part of the prompt that was read from the vendor's cache.
        cache_write_5m_tokens, cache_write_1h_tokens: the part of it that was written there.
        output_tokens: everything generated, reasoning included.
        reasoning_tokens: the part of the output that is reasoning.
        audio_input_tokens, audio_output_tokens: the parts of both that are audio.
        images: pictures generated, in pieces.
        estimated: whether the vendor did not say and we had to guess.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    images: int = 0
    estimated: bool = False

    @property
    def cache_write_tokens(self) -> int:
        """What was written to the vendor's cache, for however long."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens


class Chunk:
    """One event of an answer in the client's dialect: bytes until somebody looks inside.

    Attributes:
        block: the event as it goes out, blank line included.
        data: its JSON; empty for a comment, which no filter sees.
        content: whether it carries a part of the answer: from here on nothing is retried.
        usage_only: whether it carries usage and nothing else.
    """

    __slots__ = ("_document", "block", "content", "data", "usage_only")

    def __init__(
        self,
        data: bytes,
        *,
        block: bytes | None = None,
        content: bool = True,
        usage_only: bool = False,
    ) -> None:
        self.data = data
        self.block = b"data: %b\n\n" % data if block is None else block
        self.content = content
        self.usage_only = usage_only
        self._document: dict[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The chunk as a dictionary, decoded at most once."""
        if self._document is None:
            self._document = msgspec.json.decode(self.data)
        return self._document

    @property
    def text(self) -> str:
        """Text this chunk adds to the first choice, or the empty string."""
        choices = self.document.get("choices")
        text = (choices[0].get("delta") or {}).get("content") if choices else ""
        return text if isinstance(text, str) else ""


class Response(msgspec.Struct):
    """A whole answer in the client's dialect.

    Attributes:
        body: already encoded.
        usage: None where the vendor did not say.
        headers: those of the vendor that the client may see, in lower case.
        memory: by tool call id, what the vendor wants back with that call's result.
    """

    body: bytes
    usage: Usage | None = None
    status: int = 200
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = []
    memory: dict[str, bytes] = {}

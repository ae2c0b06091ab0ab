"""Forms of clients: `multipart/form-data`, of which only fields of text are read.

A form is a request like one of JSON, so whoever asks for `model` need not know which it is; a
field of text is a JSON string to them. What is changed replaces the bytes of that field alone:
every other byte, boundary included, is as it came.

Nothing is guessed. Where two readers could see two different forms, this one is refused: the
vendor, who reads it after us, must not find another model in it.

Source: https://www.rfc-editor.org/rfc/rfc7578 and https://www.rfc-editor.org/rfc/rfc2046
#section-5.1 (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import msgspec

from proxy.errors import InvalidRequest
from proxy.wire import Request

T = TypeVar("T")

_KIND = "multipart/form-data"
_BREAK = b"\r\n"
_TYPE = re.compile(r'\s*multipart/form-data((?:\s*;\s*[\w-]+=(?:"[^"\\]*"|[^\s";,]+))*)\s*', re.I)
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s";,]+))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"content-disposition", re.IGNORECASE)
_PARAMETER = re.compile(rb';\s*([!-:<>-~]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))\s*')
_ENCODED = re.compile(rb"content-transfer-encoding", re.IGNORECASE)
_UNENCODED = frozenset({b"7bit", b"8bit", b"binary"})
_SINGLE = ("model", "stream")
_TRUE = frozenset({"true", "1", "yes", "on"})
_MOST_PARTS = 1024
_LONGEST_HEAD = 16 * 1024
_LONGEST_TEXT = 1024 * 1024


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form."""
    return content_type.lstrip().lower().startswith(_KIND)


class Part(NamedTuple):
    """One part of a form; positions are in the body.

    Attributes:
        start, end: of its content.
        head: where its delimiter begins.
        named: from where to where its name goes in its head.
        is_file: whether it has a name of a file.
    """

    name: str
    start: int
    end: int
    head: int
    named: tuple[int, int]
    is_file: bool


class Form(Request):
    """A client's form.

    Attributes:
        parts: as they stand in it.
    """

    __slots__ = ("_content_type", "_delimiter", "_end", "parts")

    def __init__(self, body: bytes, content_type: str, *, needs_model: bool = True) -> None:
        """Read `body`; without `needs_model`, a missing `model` is the empty string.

        Raises:
            InvalidRequest: it is no form, one that could be read in two ways, has no `model`.
        """
        self.body = body
        self._content_type = content_type
        self._delimiter = b"--" + _boundary(content_type)
        self.parts, self._end = _parts(body, self._delimiter)
        self._changes: dict[str, bytes] = {}
        self._fields: dict[str, msgspec.Raw] = {}
        self._spans: dict[str, tuple[int, int]] = {}
        self._read()
        self.stream = (self.get("stream", str) or "").strip().lower() in _TRUE
        self.model = self._text("model") if needs_model or "model" in self._fields else ""

    @property
    def content_type(self) -> str:
        """The client's own, with its boundary."""
        return self._content_type

    def view(self, kind: type[T]) -> T:
        """Decode all fields of text that `kind` names; numbers are read from their digits.

        Raises:
            InvalidRequest: a field is missing or has another type.
        """
        texts = {name: msgspec.json.decode(self.raw(name) or b"null") for name in self.names()}
        try:
            return msgspec.convert(texts, kind, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)) from None

    def encode(self, replaced: Mapping[str, bytes] | None = None) -> bytes:
        """Return the form with every byte of the untouched parts as it came.

        Args:
            replaced: further fields to replace or add, as JSON text.

        Raises:
            InvalidRequest: a field stands there several times, or its new content cannot.
        """
        changes = {**self._changes, **replaced} if replaced else self._changes
        if not changes:
            return self.body
        texts = {name: self._plain(name, value) for name, value in changes.items()}
        pieces: list[bytes] = []
        position = 0
        for name, (start, end) in self._spans.items():
            if name in texts:
                pieces += (self.body[position:start], texts.pop(name))
                position = end
        pieces.append(self.body[position : self._end])
        pieces += [self._field(name, text) for name, text in texts.items()]
        pieces.append(self.body[self._end :])
        return b"".join(pieces)

    def picked(self, names: Mapping[str, str]) -> bytes:
        """Return the parts that `names` has, under its names, each with its content as it is."""
        body = self.body
        pieces: list[bytes] = []
        for number, part in enumerate(self.parts):
            if part.name in names:
                after = self.parts[number + 1].head if number + 1 < len(self.parts) else self._end
                start, end = part.named
                name = names[part.name].encode()
                pieces += (body[part.head : start], b'"%b"' % name, body[end:after])
        return b"".join((*pieces, self._delimiter, b"--\r\n"))

    def _read(self) -> None:
        """Note the fields of text; of a name that stands there several times, a list."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            text = None if part.is_file else _text(self.body, part)
            if part.name in _SINGLE and (text is None or part.name in found):
                why = "must be a text" if text is None else "stands twice in the form"
                raise InvalidRequest(f"`{part.name}` {why}", param=part.name)
            if text is not None:
                found.setdefault(part.name, []).append(text)
                self._spans[part.name] = (part.start, part.end)
        for name, texts in found.items():
            value = texts[0] if len(texts) == 1 else texts
            self._fields[name] = msgspec.Raw(msgspec.json.encode(value))
            if len(texts) > 1:
                del self._spans[name]

    def _field(self, name: str, text: bytes) -> bytes:
        """Return a part that was not there; its delimiter stands before the next one."""
        head = b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
        return head % (self._delimiter, name.encode()) + text + b"\r\n"

    def _plain(self, name: str, value: bytes) -> bytes:
        """Return a JSON value as a form has it: a string without quotes, all else as it is."""
        decoded = msgspec.json.decode(value)
        text = decoded.encode() if isinstance(decoded, str) else value
        if name in self._fields and name not in self._spans:
            raise InvalidRequest(f"`{name}` stands several times in the form", param=name)
        if self._delimiter in text:
            raise InvalidRequest(f"`{name}` holds the boundary of the form", param=name)
        return text


def _boundary(content_type: str) -> bytes:
    known = _TYPE.fullmatch(content_type)
    found = _BOUNDARY.findall(known[1]) if known else []
    if len(found) != 1:
        raise InvalidRequest(f"the content-type must be {_KIND} with one boundary")
    return "".join(found[0]).encode("utf-8", "surrogateescape")


def _parts(body: bytes, delimiter: bytes) -> tuple[list[Part], int]:
    """Return the parts, and where the delimiter begins that ends the form.

    Raises:
        InvalidRequest: it has no end, or is not what RFC 2046 says, or holds its delimiter at a
            place where only some would see it.
    """
    parts: list[Part] = []
    at = len(_BREAK) if body.startswith(_BREAK) else 0
    if not body.startswith(delimiter, at):
        raise InvalidRequest("the form does not begin with its boundary")
    while not body.startswith(b"--", at + len(delimiter)):
        if len(parts) == _MOST_PARTS:
            raise InvalidRequest(f"the form has more than {_MOST_PARTS} parts")
        head = _line_end(body, at + len(delimiter))
        start = body.find(2 * _BREAK, head - 2, head + _LONGEST_HEAD) + 4
        if start < 4 or body.startswith(delimiter, start):
            raise InvalidRequest("a part of the form has no end of its head")
        after = _next(body, delimiter, start)
        parts.append(_part(body, at, head, start, after - 2))
        at = after
    if body.count(delimiter) != len(parts) + 1:
        raise InvalidRequest("the boundary of the form stands within a part of it")
    return parts, at


def _next(body: bytes, delimiter: bytes, start: int) -> int:
    """Return where the next line begins that is the delimiter."""
    found = body.find(_BREAK + delimiter, start)
    if found < 0:
        raise InvalidRequest("the form is not whole: its boundary does not end it")
    return found + 2


def _line_end(body: bytes, start: int) -> int:
    """Return where the line after a delimiter begins; spaces may fill the rest of its own."""
    end = body.find(_BREAK, start)
    if end < 0 or body[start:end].strip(b" \t"):
        raise InvalidRequest("a line of the form begins with its boundary and goes on")
    return end + 2


def _part(body: bytes, at: int, head: int, start: int, end: int) -> Part:
    """Read the head of a part.

    Raises:
        InvalidRequest: it does not say one name, or its content is encoded.
    """
    found: list[tuple[int, int]] = []
    position = head
    for line in body[head : start - 4].split(_BREAK):
        name, _, value = line.partition(b":")
        if line[:1] in (b" ", b"\t") or b"\n" in line or b"\r" in line:
            raise InvalidRequest("the head of a part of the form has an odd break of a line")
        if _ENCODED.fullmatch(name.strip()) and value.strip().lower() not in _UNENCODED:
            raise InvalidRequest("a part of the form is encoded")
        if _DISPOSITION.fullmatch(name.strip()):
            found.append((position + len(name) + 1, position + len(line)))
        position += len(line) + 2
    if len(found) != 1:
        raise InvalidRequest("a part of the form does not say its name, or says it twice")
    return _named(body, found[0], Part("", start, end, at, (0, 0), False))


def _named(body: bytes, span: tuple[int, int], part: Part) -> Part:
    """Read ` form-data; name="…"; filename="…"`."""
    position, end = span
    kind = body.find(b";", position, end)
    if kind < 0 or body[position:kind].strip().lower() != b"form-data":
        raise InvalidRequest("a part of the form is no form-data with a name")
    names, is_file, position = [], False, kind
    while position < end:
        found = _PARAMETER.match(body, position, end)
        if found is None:
            raise InvalidRequest("the disposition of a part of the form cannot be read")
        key = found[1].lower()
        if key.rstrip(b"*") == b"name":
            names.append(found)
        is_file = is_file or key.rstrip(b"*") == b"filename"
        position = found.end()
    if len(names) != 1 or names[0][1].lower() != b"name" or b"\\" in names[0][0]:
        raise InvalidRequest("a part of the form does not say its name plainly")
    quoted = names[0].start(2) >= 0
    where = (names[0].start(2) - 1, names[0].end(2) + 1) if quoted else names[0].span(3)
    text = names[0][2] if quoted else names[0][3]
    return part._replace(name=text.decode("utf-8", "replace"), named=where, is_file=is_file)


def _text(body: bytes, part: Part) -> str | None:
    """Return what a part says; None where that is long, or no text."""
    if part.end - part.start > _LONGEST_TEXT:
        return None
    try:
        return body[part.start : part.end].decode()
    except UnicodeDecodeError:
        return None

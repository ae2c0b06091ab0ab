"""HTTP/1.1 towards a vendor, without I/O: heads of requests out, answers in.

llhttp (through httptools) does the reading. It is strict by default about bare line feeds,
folded headers, repeated or conflicting lengths and odd chunk sizes. What it lets through
and a client must not is refused here: transfer codings other than `chunked`, HTTP/0.9 and
2.0, chunked HTTP/1.0, statuses outside 100 to 599, a switch of protocols, anything endless.

Source: https://www.rfc-editor.org/rfc/rfc9112 (2026-11-21)
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools

from proxy.adapter import Headers, UpstreamRequest
from proxy.errors import InternalError, InvalidRequest, UpstreamBadResponse

CHUNKED = "transfer-encoding: chunked\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"[\x21-\x7e]*")
_PORTS = {"http": 80, "https": 443}
_EXPECTS_BODY = frozenset({"POST", "PUT", "PATCH"})


class Origin(NamedTuple):
    """Where a base URL points.

    Attributes:
        scheme: "http" or "https".
        host: in lower case and ASCII, an IPv6 address without its brackets.
        path: what stands before every request's path, without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def where(self) -> str:
        """Host and port, as in a CONNECT request and in messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The `host` header: the port only where it is not the scheme's own."""
        where = self.where
        return where.rpartition(":")[0] if self.port == _PORTS[self.scheme] else where


def parse_origin(url: str) -> Origin:
    """Read a base URL such as "https://api.example.com/v1".

    Raises:
        ValueError: it is not http or https, has no host, or holds what belongs elsewhere.
    """
    if not _TARGET.fullmatch(url):
        raise ValueError("a URL must not hold spaces, control or non-ASCII characters")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"expected http://host or https://host, not {parts.scheme}:")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("a base URL must not hold a user, a query or a fragment")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    return Origin(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


class RequestHeads:
    """Writes the heads of all requests to one origin; what they share is made once.

    Args:
        origin: the provider's base URL.
        absolute: write whole URLs, as an HTTP proxy wants them.
        extra: headers of every request, for the proxy.
    """

    def __init__(self, origin: Origin, *, absolute: bool = False, extra: Headers = ()) -> None:
        self._origin = origin
        self._prefix = f"{origin.scheme}://{origin.authority}" if absolute else ""
        self._shared = f" HTTP/1.1\r\nhost: {origin.authority}\r\n" + _fields(extra)
        self._start = functools.lru_cache(maxsize=256)(self._build_start)

    def encode(self, request: UpstreamRequest, framing: str | None = None) -> bytes:
        """Return the head of `request`, blank line included.

        Args:
            request: its headers hold none of those that frame a message.
            framing: `sized(n)` or `CHUNKED` for a streamed body; None: `request.body` is it.

        Raises:
            InvalidRequest: the method or path cannot stand in a request.
            InternalError: a header cannot; the message never shows its value.
        """
        method = request.method
        if framing is None:
            length = len(request.body)
            framing = sized(length) if length or method in _EXPECTS_BODY else ""
        start = self._start(method, request.path)
        return f"{start}{_fields(request.headers)}{framing}\r\n".encode("latin-1")

    def _build_start(self, method: str, path: str) -> str:
        if not _TOKEN.fullmatch(method):
            raise InvalidRequest("the method is not a word")
        return f"{method} {self._prefix}{self._target(path) or '/'}{self._shared}"

    def _target(self, path: str) -> str:
        if not _TARGET.fullmatch(path) or "#" in path:
            raise InvalidRequest("the path holds characters that must be percent-encoded")
        if path.startswith(("http://", "https://")):
            return self._same_origin(path)
        if path and path[0] not in "/?":
            raise InvalidRequest("the path does not start with a slash")
        if path.startswith("?") and not self._origin.path:
            path = "/" + path
        return self._origin.path + path

    def _same_origin(self, url: str) -> str:
        address, mark, query = url.partition("?")
        try:
            same = parse_origin(address)[:3] == self._origin[:3]
        except ValueError:
            same = False
        if not same:
            raise InvalidRequest("the path leads to another origin than the provider's")
        path = address.split("/", 3)[3:]
        return f"/{''.join(path)}{mark}{query}"


def sized(length: int) -> str:
    """Return the framing of a body of `length` bytes."""
    return f"content-length: {length}\r\n"


def chunk(piece: bytes) -> bytes:
    """Return one chunk of a chunked body; `piece` is not empty."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _fields(headers: Headers) -> str:
    """Write headers as lines; none of them can hold another one."""
    fields = "".join([f"{_name(name)}{value}\r\n" for name, value in headers])
    count = len(headers)
    if fields.count("\n") != count or fields.count("\r") != count or "\0" in fields:
        raise InternalError(f"header {_culprit(headers)} holds a line break or NUL")
    if not fields.isascii() and not _is_latin_1(fields):
        raise InternalError("a header holds characters outside latin-1")
    return fields


@functools.lru_cache(maxsize=1024)
def _name(name: str) -> str:
    """Return how the line of a header starts."""
    if not _TOKEN.fullmatch(name):
        raise InternalError("the name of a header is not a word")
    if name.lower() in _OURS:
        raise InternalError(f"header {name} belongs to the transport")
    return f"{name}: "


def _culprit(headers: Headers) -> str:
    return next(name for name, value in headers if any(c in value for c in "\r\n\0"))


def _is_latin_1(text: str) -> bool:
    return max(text) <= "\xff"


class _Surplus(Exception):
    """Bytes after the end of an answer."""


class ResponseReader:
    """Reads the answers of one connection, one after the other.

    `begin` for each request, then `feed` until `complete`, or `finish` when the vendor
    closed the connection. Any split of the same bytes gives the same answer.

    Attributes:
        pieces: the body as it came and nobody took yet; the list is always the same one.
        status: 0 until the head is complete; never 1xx, those are skipped.
        headers: names in lower case, latin-1.
        length: bytes of the body that the head announced; None if it did not.
        received: whether any byte of this answer has come.
        head_complete: whether `status`, `headers` and `length` are there.
        complete: whether the whole answer is there.
        reusable: whether the connection may carry another request.
    """

    __slots__ = (
        "_bodyless",
        "_count_limit",
        "_header_limit",
        "_held_bytes",
        "_joined",
        "_method",
        "_parse",
        "_parser",
        "_room",
        "_silent",
        "_until_close",
        "complete",
        "head_complete",
        "headers",
        "length",
        "on_body",
        "pieces",
        "received",
        "reusable",
        "status",
    )

    def __init__(self, header_bytes: int = 65536, header_count: int = 256) -> None:
        self._header_limit = header_bytes
        self._count_limit = header_count
        self._method = "HEAD"
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append  # httptools calls it without a frame of ours
        self.begin("GET")

    def __repr__(self) -> str:
        state = "complete" if self.complete else "body" if self.head_complete else "head"
        return f"<ResponseReader {state} status {self.status}>"

    def begin(self, method: str) -> None:
        """Expect the answer to a request of `method`."""
        if self._method in ("HEAD", "CONNECT"):
            # llhttp may still wait for the body that such an answer announces but never has.
            self._parser = httptools.HttpResponseParser(self)
            self._parse = self._parser.feed_data
        self._method = method
        self._room = self._header_limit
        self._silent = self._joined = self._held_bytes = 0
        self._bodyless = self._until_close = False
        self.pieces.clear()
        self.headers: list[tuple[str, str]] = []
        self.status = 0
        self.length: int | None = None
        self.received = self.head_complete = self.complete = self.reusable = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes; what they bring of the body is appended to `pieces`.

        Raises:
            UpstreamBadResponse: this is no answer we can read.
        """
        if not self.received:
            self.received = True
            if data[:1] != b"H":  # llhttp also reads RTSP and ICE, and skips empty lines
                raise UpstreamBadResponse("the provider's answer is not HTTP")
        held = len(self.pieces)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                raise _translate(error) from None
            self.reusable = False
        if len(self.pieces) != held:
            self._silent = 0
            if self._bodyless:
                self.reusable = False
                self.pieces.clear()
        elif not self.complete:
            self._count_silent(len(data))

    def finish(self) -> bool:
        """Take the clean end of the connection and return whether the answer is whole."""
        if self.head_complete and self._until_close:
            self.complete = True
        self.reusable = False
        return self.complete

    def held_bytes(self) -> int:
        """Return how much of the body is in `pieces`, and make one piece of the latest.

        To be asked after each `feed` while nobody takes the pieces: a thousand tiny chunks
        cost far more than their bytes.
        """
        pieces, joined = self.pieces, self._joined
        if len(pieces) > joined:
            pieces[joined:] = [b"".join(pieces[joined:])]
            self._joined = joined + 1
            self._held_bytes += len(pieces[joined])
        return self._held_bytes

    def _count_silent(self, size: int) -> None:
        """Bound what comes without a byte of body: heads, 1xx, chunk extensions, trailers."""
        self._silent += size
        if self._silent > 2 * self._header_limit:
            raise UpstreamBadResponse("the provider's answer has endless headers")

    def on_message_begin(self) -> None:
        """Called by httptools; after a whole answer it means bytes too many."""
        if self.complete:
            raise _Surplus

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools for each header, trailers included."""
        self._room -= len(name) + len(value) + 4
        if self._room < 0:
            raise UpstreamBadResponse(f"the provider's headers exceed {self._header_limit} bytes")
        if self.head_complete:
            return
        if len(self.headers) >= self._count_limit:
            raise UpstreamBadResponse(f"the provider sent over {self._count_limit} headers")
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Called by httptools for each head, those of 1xx included."""
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0") or status == 101 or not 100 <= status <= 599:
            raise UpstreamBadResponse(f"the provider answered HTTP/{version} {status:03}")
        if status < 200:
            self.headers.clear()
            return
        self.status = status
        self._frame(version)
        self.head_complete = True
        self.complete = self._bodyless

    def on_message_complete(self) -> None:
        """Called by httptools at the end of each message, those of 1xx included."""
        if self.head_complete:
            self.complete = True

    def _frame(self, version: str) -> None:
        """Decide how the body ends (RFC 9112 section 6.3)."""
        codings = []
        for name, value in self.headers:
            if name == "content-length":
                self.length = int(value)
            elif name == "transfer-encoding":
                codings.append(value.lower())
        self.reusable = self._parser.should_keep_alive()
        self._bodyless = _is_bodyless(self._method, self.status)
        if self._bodyless:
            return
        if codings and (codings != ["chunked"] or version == "1.0"):
            raise UpstreamBadResponse("the provider's answer has a transfer coding we do not read")
        self._until_close = not codings and self.length is None


def _is_bodyless(method: str, status: int) -> bool:
    return status in (204, 304) or method == "HEAD" or (method == "CONNECT" and 200 <= status < 300)


def _translate(error: httptools.HttpParserError) -> UpstreamBadResponse:
    """Return our own refusal where a callback raised it, else llhttp's words."""
    if isinstance(error.__context__, UpstreamBadResponse):
        return error.__context__
    return UpstreamBadResponse(f"the provider's answer is not proper HTTP: {error}")

"""Heads of requests, and the reader of answers, without a network."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.adapter import UpstreamRequest
from proxy.errors import InternalError, InvalidRequest, UpstreamBadResponse
from proxy.http1 import CHUNKED, RequestHeads, ResponseReader, chunk, parse_origin, sized

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED_OK = OK + b"transfer-encoding: chunked\r\n\r\n"


def head(
    path: str = "/chat",
    *,
    base: str = "https://api.example.com/v1",
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> bytes:
    request = UpstreamRequest(method, path, headers, body)
    return RequestHeads(parse_origin(base)).encode(request)


def read(*pieces: bytes, method: str = "POST") -> ResponseReader:
    reader = ResponseReader()
    reader.begin(method)
    for piece in pieces:
        reader.feed(piece)
    return reader


def test_a_head_holds_the_callers_headers_and_ours_for_the_host_and_the_length() -> None:
    """The transport adds what frames the message and nothing else."""
    assert head(headers=(("authorization", "Bearer x"), ("a", "1"), ("a", "2")), body=b"{}") == (
        b"POST /v1/chat HTTP/1.1\r\nhost: api.example.com\r\nauthorization: Bearer x\r\n"
        b"a: 1\r\na: 2\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("base", "path", "line"),
    [
        ("https://h/v1", "/a", b"POST /v1/a HTTP/1.1\r\nhost: h\r\n"),
        ("https://h/v1/", "/a?b=c", b"POST /v1/a?b=c HTTP/1.1\r\nhost: h\r\n"),
        ("https://h", "", b"POST / HTTP/1.1\r\nhost: h\r\n"),
        ("https://h", "?a", b"POST /?a HTTP/1.1\r\nhost: h\r\n"),
        ("https://h/v1", "?a", b"POST /v1?a HTTP/1.1\r\nhost: h\r\n"),
        ("https://h:443", "/", b"POST / HTTP/1.1\r\nhost: h\r\n"),
        ("http://h:443", "/", b"POST / HTTP/1.1\r\nhost: h:443\r\n"),
        ("http://[::1]:8080", "/", b"POST / HTTP/1.1\r\nhost: [::1]:8080\r\n"),
        ("http://[::1]", "/", b"POST / HTTP/1.1\r\nhost: [::1]\r\n"),
        ("https://H.Example", "/", b"POST / HTTP/1.1\r\nhost: h.example\r\n"),
        ("https://h/v1", "https://h/other?x=/y", b"POST /other?x=/y HTTP/1.1\r\nhost: h\r\n"),
        ("https://h/v1", "https://h:443", b"POST / HTTP/1.1\r\nhost: h\r\n"),
        ("http://h", "//evil.example/", b"POST //evil.example/ HTTP/1.1\r\nhost: h\r\n"),
    ],
)
def test_the_path_goes_behind_the_base_url(base: str, path: str, line: bytes) -> None:
    """A request stays at its provider's origin, whatever its path looks like."""
    assert head(path, base=base).startswith(line)


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/v1",
        "http://api.example.com/v1",
        "https://api.example.com:444/",
        "https://user@api.example.com/",
        "https://api.example.com.evil.example/",
        "https://api.example.com:99999/",
        "@evil.example/",
        "chat",
        "/a b",
        "/a\r\nx: y",
        "/a\nx",
        "/a\0",
        "/\x7f",
        "/é",
        "/a#b",
    ],
)
def test_a_path_that_leads_elsewhere_or_breaks_the_line_is_refused(path: str) -> None:
    """Nobody gets a request to another origin, or a second one, out of a path."""
    with pytest.raises(InvalidRequest):
        head(path)


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "GET\0", "GÉT"])
def test_a_method_that_is_not_a_word_is_refused(method: str) -> None:
    """A method cannot carry a request of its own."""
    with pytest.raises(InvalidRequest):
        head(method=method)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "a\r\nb: c"),
        ("x", "a\nb"),
        ("x", "a\rb"),
        ("x", "a\0"),
        ("x", "secret-\u20ac"),
        ("x\r\ny", "a"),
        ("x y", "a"),
        ("x:", "a"),
        ("", "a"),
        ("é", "a"),
        ("Host", "a"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "close"),
    ],
)
def test_a_header_that_could_change_the_framing_is_refused(name: str, value: str) -> None:
    """Neither names nor values make other headers, and the message never shows a value."""
    with pytest.raises(InternalError) as raised:
        head(headers=(("a", "b"), (name, value)))
    assert "secret" not in raised.value.message


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_header_ever_makes_two(name: str, value: str) -> None:
    """Any text is one header on the wire, or refused."""
    try:
        encoded = head(headers=((name, value),))
    except InternalError:
        return
    assert encoded.count(b"\r\n") == encoded.count(b"\n") == encoded.count(b"\r") == 5


@pytest.mark.parametrize(
    ("method", "body", "line"),
    [
        ("POST", b"", b"content-length: 0"),
        ("PUT", b"", b"content-length: 0"),
        ("PATCH", b"abc", b"content-length: 3"),
        ("DELETE", b"abc", b"content-length: 3"),
        ("GET", b"", None),
        ("HEAD", b"", None),
        ("DELETE", b"", None),
    ],
)
def test_a_body_is_announced_where_there_is_or_could_be_one(
    method: str, body: bytes, line: bytes | None
) -> None:
    """A method that expects a body announces an empty one, the others none."""
    announced = [x for x in head(method=method, body=body).split(b"\r\n") if b"length" in x]
    assert announced == ([line] if line else [])


def test_a_streamed_body_is_framed_as_asked() -> None:
    """Its length is announced, or it goes in chunks."""
    heads = RequestHeads(parse_origin("http://h"))
    request = UpstreamRequest("GET", "/", ())
    assert heads.encode(request, sized(7)).endswith(b"\r\ncontent-length: 7\r\n\r\n")
    assert heads.encode(request, CHUNKED).endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_a_proxy_gets_the_whole_url_and_its_own_headers() -> None:
    """An HTTP proxy is told where to go by the request line."""
    heads = RequestHeads(
        parse_origin("http://h:81/v1"), absolute=True, extra=(("proxy-authorization", "Basic x"),)
    )
    assert heads.encode(UpstreamRequest("GET", "/a", ())) == (
        b"GET http://h:81/v1/a HTTP/1.1\r\nhost: h:81\r\nproxy-authorization: Basic x\r\n\r\n"
    )


@pytest.mark.parametrize(
    "url",
    ["", "h", "ftp://h", "https://", "https://u:p@h", "https://h?a", "https://h#a", "https://h h"],
)
def test_a_base_url_that_is_no_place_is_refused(url: str) -> None:
    """A mistake in the configuration is found when it is read."""
    with pytest.raises(ValueError, match=r"http|URL"):
        parse_origin(url)


def test_an_answer_is_read() -> None:
    """Status, headers in lower case and in order, and the body come out."""
    reader = read(OK + b"X-A: 1\r\nx-a: \xe9\r\nContent-Length: 5\r\n\r\nhello")
    assert (reader.status, reader.complete, reader.reusable) == (200, True, True)
    assert reader.headers == [("x-a", "1"), ("x-a", "é"), ("content-length", "5")]
    assert b"".join(reader.pieces) == b"hello"


WHOLE = {
    "sized": (OK + b"content-length: 5\r\n\r\nhello", b"hello", True),
    "empty": (OK + b"content-length: 0\r\n\r\n", b"", True),
    "chunked": (
        CHUNKED_OK + b'3;a=b;c="d"\r\nhel\r\n2\r\nlo\r\n0\r\nx-trailer: y\r\n\r\n',
        b"hello",
        True,
    ),
    "chunked in capitals": (OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", b"", True),
    "close": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi", b"hi", False),
    "close among others": (
        OK + b"connection: x, Close\r\ncontent-length: 2\r\n\r\nhi",
        b"hi",
        False,
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"hi", False),
    "HTTP/1.0 kept": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", b"hi", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "304 with a length": (b"HTTP/1.1 304 No\r\ncontent-length: 9\r\n\r\n", b"", True),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        + OK
        + b"content-length: 2\r\n\r\nhi",
        b"hi",
        True,
    ),
    "surplus": (OK + b"content-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n", b"hi", False),
    "surplus of nonsense": (OK + b"content-length: 2\r\n\r\nhi\0", b"hi", False),
    "surplus after 204": (b"HTTP/1.1 204 No\r\n\r\nhello", b"", False),
    "trailers that say close": (CHUNKED_OK + b"0\r\nx: y\r\n\r\n", b"", True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_is_the_same_however_it_is_cut(name: str) -> None:
    """Whole, byte by byte, and cut in two at every place: always the same answer."""
    wire, body, reusable = WHOLE[name]
    splits = [[wire], [wire[i : i + 1] for i in range(len(wire))]]
    splits += [[wire[:i], wire[i:]] for i in range(1, len(wire))]
    for pieces in splits:
        reader = ResponseReader()
        reader.begin("POST")
        rest = list(pieces)
        while not reader.complete:
            reader.feed(rest.pop(0))
        assert b"".join(reader.pieces) == body
        assert 200 <= reader.status < 400
        assert reader.reusable == reusable or rest  # the rest is what makes it unusable


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_not_whole_before_its_last_byte(name: str) -> None:
    """A cut answer is never taken for a whole one."""
    wire, body, _ = WHOLE[name]
    if "surplus" in name:
        return
    for end in range(len(wire)):
        reader = read(*[wire[:end]][: end > 0])
        assert not reader.complete
        assert not reader.finish()
        assert body.startswith(b"".join(reader.pieces))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_answers_in_a_row_are_read_whatever_their_splits(data: st.DataObject) -> None:
    """One reader reads all answers of a connection, each as if it were the first."""
    reader = ResponseReader()
    for _ in range(data.draw(st.integers(1, 4))):
        body = data.draw(st.binary(max_size=300))
        sizes = data.draw(st.lists(st.integers(1, 50), max_size=6))
        if data.draw(st.booleans()):
            wire = OK + b"content-length: %d\r\n\r\n" % len(body) + body
        else:
            wire, rest = CHUNKED_OK, body
            for size in [*sizes, len(body)]:
                wire += chunk(rest[:size]) if rest else b""
                rest = rest[size:]
            wire += b"0\r\n\r\n"
        cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=8)))
        reader.begin("POST")
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            assert not reader.complete
            reader.feed(wire[start:end])
        assert reader.complete
        assert reader.reusable
        assert b"".join(reader.pieces) == body


REFUSED = {
    "not HTTP": b"hello\r\n\r\n",
    "ICE": b"ICE/1.0 200 OK\r\n\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\n\r\n",
    "an empty line first": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "HTTP/11.1": b"HTTP/11.1 200 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "protocols switched": b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nabc",
    "protocols switched barely": b"HTTP/1.1 101 Go\r\n\r\n",
    "bare line feed": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "bare line feed in headers": OK + b"a: b\ncontent-length: 0\r\n\r\n",
    "bare carriage return": OK + b"a: b\rc\r\n\r\n",
    "NUL in a header": OK + b"a: b\0c\r\n\r\n",
    "folded header": OK + b"a: b\r\n c\r\n\r\n",
    "space before the colon": OK + b"content-length : 0\r\n\r\n",
    "space before the name": OK + b" a: b\r\n\r\n",
    "no colon": OK + b"abc\r\n\r\n",
    "no name": OK + b": b\r\n\r\n",
    "lengths that differ": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "lengths that agree": OK + b"content-length: 1\r\ncontent-length: 1\r\n\r\na",
    "lengths in a list": OK + b"content-length: 1, 1\r\n\r\na",
    "length with a sign": OK + b"content-length: +1\r\n\r\na",
    "negative length": OK + b"content-length: -1\r\n\r\na",
    "hexadecimal length": OK + b"content-length: 0x1\r\n\r\na",
    "no length in it": OK + b"content-length: \r\n\r\na",
    "huge length": OK + b"content-length: 99999999999999999999\r\n\r\na",
    "length and chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "unknown coding": OK + b"transfer-encoding: gzip\r\n\r\nabc",
    "coding before chunked": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": OK + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "nearly chunked": OK + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size of letters": CHUNKED_OK + b"zz\r\nab\r\n",
    "chunk size with 0x": CHUNKED_OK + b"0x2\r\nab\r\n",
    "negative chunk size": CHUNKED_OK + b"-2\r\nab\r\n",
    "no chunk size": CHUNKED_OK + b"\r\nab\r\n",
    "huge chunk size": CHUNKED_OK + b"fffffffffffffffff\r\nab\r\n",
    "chunk size and a space": CHUNKED_OK + b"2 \r\nab\r\n",
    "chunk longer than its size": CHUNKED_OK + b"2\r\nabc\r\n0\r\n\r\n",
    "line feed after a chunk size": CHUNKED_OK + b"2\nab\r\n",
    "line feed after a chunk": CHUNKED_OK + b"2\r\nab\n0\r\n\r\n",
    "length in a trailer": CHUNKED_OK + b"0\r\ncontent-length: 7\r\n\r\n",
    "header of 70 kB": OK + b"a: " + b"b" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "300 headers": OK + b"a: b\r\n" * 300 + b"content-length: 0\r\n\r\n",
    "a header without end": OK + b"a: " + b"b" * 140_000,
    "interim answers without end": b"HTTP/1.1 100 Continue\r\na: b\r\n\r\n" * 20_000,
    "a status without end": b"HTTP/1.1 200 " + b"x" * 140_000,
    "a chunk extension without end": CHUNKED_OK + b"1;" + b"x" * 140_000,
    "trailers without end": CHUNKED_OK + b"0\r\n" + b"x: y\r\n" * 30_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_proper_answer_is_refused_however_it_is_cut(name: str) -> None:
    """Two readers of one answer must never understand it differently; we do not guess."""
    wire = REFUSED[name]
    with pytest.raises(UpstreamBadResponse):
        read(wire)
    step = 1 if len(wire) < 1000 else 1500
    with pytest.raises(UpstreamBadResponse):
        read(*(wire[i : i + step] for i in range(0, len(wire), step)))


def test_a_body_without_length_ends_with_the_connection_and_only_cleanly() -> None:
    """Such a body is whole once `finish` was called, and its connection is done."""
    reader = read(OK + b"\r\nhel", b"lo")
    assert not reader.complete
    assert reader.finish()
    assert b"".join(reader.pieces) == b"hello"
    assert not reader.reusable


@pytest.mark.parametrize("framing", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
def test_an_answer_to_head_has_no_body_whatever_it_announces(framing: bytes) -> None:
    """The connection goes on with the next answer, not with the body that never comes."""
    reader = read(OK + framing + b"\r\n", method="HEAD")
    assert reader.complete
    assert reader.reusable
    reader.begin("GET")
    reader.feed(OK + b"content-length: 2\r\n\r\nhi")
    assert reader.complete
    assert b"".join(reader.pieces) == b"hi"


def test_a_body_after_an_answer_to_head_is_surplus() -> None:
    """It is dropped, and the connection with it."""
    reader = read(OK + b"content-length: 5\r\n\r\nhello", method="HEAD")
    assert reader.complete
    assert reader.pieces == []
    assert not reader.reusable


def test_an_answer_to_connect_has_no_body_if_the_way_is_open() -> None:
    """What follows belongs to whoever is at the other end; a refusal has a body."""
    assert read(OK + b"\r\n", method="CONNECT").complete
    assert not read(b"HTTP/1.1 407 No\r\ncontent-length: 5\r\n\r\n", method="CONNECT").complete


def test_pieces_that_nobody_takes_are_joined_and_counted() -> None:
    """A thousand chunks of a byte cost no thousand objects."""
    reader = read(CHUNKED_OK)
    assert reader.held_bytes() == 0
    reader.feed(b"1\r\na\r\n" * 1000)
    assert reader.held_bytes() == 1000
    reader.feed(b"1\r\na\r\n" * 1000)
    assert reader.held_bytes() == 2000
    assert len(reader.pieces) == 2


@given(st.binary(max_size=200), st.sampled_from(["GET", "HEAD", "CONNECT"]), st.integers(1, 7))
def test_any_bytes_are_an_answer_or_refused(wire: bytes, method: str, step: int) -> None:
    """No other error, no loop, no crash."""
    for start in (b"", OK, CHUNKED_OK):
        pieces = [(start + wire)[i : i + step] for i in range(0, len(start + wire), step)]
        try:
            reader = read(*pieces, method=method)
        except UpstreamBadResponse:
            continue
        assert repr(reader)

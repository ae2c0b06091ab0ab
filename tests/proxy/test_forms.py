"""Forms of clients."""

from __future__ import annotations

import re
from email.parser import BytesParser
from email.policy import HTTP
from typing import NamedTuple

import httpx
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.forms import Form, is_form

TYPE = "multipart/form-data; boundary=frontier"


class Piece(NamedTuple):
    """One part as a client would send it."""

    name: str
    content: bytes
    filename: str | None = None
    more: tuple[str, ...] = ()


def written(pieces: list[Piece], boundary: str = "frontier", end: bytes = b"\r\n") -> bytes:
    """Return a form."""
    body = b""
    for piece in pieces:
        file = "" if piece.filename is None else f'; filename="{piece.filename}"'
        lines = [f'Content-Disposition: form-data; name="{piece.name}"{file}', *piece.more]
        head = "\r\n".join(lines).encode()
        body += b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head, piece.content)
    return body + b"--%b--" % boundary.encode() + end


MODEL = Piece("model", b"whisper-1")
SOUND = Piece("file", b"RIFF\x00\xff\r\n--\r\n\r\n", "a.wav", ("Content-Type: audio/wav",))


def form(*pieces: Piece, **options: bool) -> Form:
    return Form(written(list(pieces)), TYPE, **options)


def parsed(body: bytes, content_type: str = TYPE) -> list[tuple[str, bytes]]:
    """Return names and contents as somebody else reads them."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
    return [
        (str(part.get_param("name", header="content-disposition")), part.get_payload(decode=True))
        for part in parts
    ]


BOUNDARIES = st.text(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=?",
    min_size=1,
    max_size=70,
)
NAMES = st.text(st.characters(exclude_characters='"\\', exclude_categories=["C"]), max_size=20)
PIECES = st.lists(
    st.builds(
        Piece,
        NAMES.filter(lambda name: name not in ("model", "stream")),
        st.one_of(st.binary(max_size=3000), st.sampled_from([b"", b"\r\n", b"--", b"x" * 100_000])),
        st.one_of(st.none(), NAMES.filter(lambda name: ";" not in name)),
        st.sampled_from([(), ("Content-Type: audio/wav",), ("X-A: b", "Content-Length: 5")]),
    ),
    max_size=6,
)


@given(PIECES, st.integers(0, 6), BOUNDARIES, st.text(max_size=30), st.text(max_size=30))
def test_only_the_model_is_replaced(
    pieces: list[Piece], at: int, boundary: str, model: str, other: str
) -> None:
    """Any boundary, order and sizes: every other byte is as it came."""
    delimiter = b"--" + boundary.encode()
    contents = [b"%b" % p.content + p.name.encode() + (p.filename or "").encode() for p in pieces]
    assume(not any(delimiter in text for text in [*contents, model.encode(), other.encode()]))
    made = [*pieces]
    made.insert(at, Piece("model", model.encode()))
    body = written(made, boundary)
    assume(body.count(delimiter) == len(made) + 1)
    made[made.index(Piece("model", model.encode()))] = Piece("model", other.encode())

    read = Form(body, f'multipart/form-data; boundary="{boundary}"')

    assert read.model == model
    assert read.encode() == body
    assert read.encode({"model": msgspec.json.encode(other)}) == written(made, boundary)
    read.set("model", other)
    assert (read.model, read.encode()) == (other, written(made, boundary))


@given(PIECES, BOUNDARIES)
def test_a_model_that_is_not_there_is_added_at_the_end(pieces: list[Piece], boundary: str) -> None:
    """For a deployment whose model the client need not know."""
    delimiter = b"--" + boundary.encode()
    body = written(pieces, boundary)
    assume(body.count(delimiter) == len(pieces) + 1 and delimiter not in b"gpt-image-1")

    read = Form(body, f'multipart/form-data; boundary="{boundary}"', needs_model=False)

    assert read.model == ""
    assert read.encode({"model": b'"gpt-image-1"'}) == written(
        [*pieces, Piece("model", b"gpt-image-1")], boundary
    )


def test_forms_of_real_clients_are_read() -> None:
    """As httpx writes them, on which the SDKs stand."""
    sent = httpx.Request(
        "POST",
        "http://x",
        data={"model": "whisper-1", "stream": "true", "include[]": ["a", "b"], "n": "3"},
        files={"file": ('Grüße \\ ".wav', b"\x00\xff", "audio/wav")},
    )
    read = Form(sent.read(), sent.headers["content-type"])

    assert (read.model, read.stream) == ("whisper-1", True)
    assert read.get("n", str) == "3"
    assert read.raw("include[]") == b'["a","b"]'
    assert read.content_type == sent.headers["content-type"]
    assert [part.name for part in read.parts if part.is_file] == ["file"]
    assert "file" not in read
    assert {"model", "n"} <= set(read.names())

    class Asked(msgspec.Struct):
        model: str
        n: int

    assert read.view(Asked) == Asked("whisper-1", 3)
    changed = read.encode({"model": b'"other"', "n": b"4", "new": b'"x"'})
    names = dict(parsed(changed, read.content_type))
    assert (names["model"], names["n"], names["new"]) == (b"other", b"4", b"x")


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        (b"true", True),
        (b"True", True),
        (b"1", True),
        (b"false", False),
        (b"", False),
        (b"0", False),
    ],
)
def test_a_stream_is_asked_for_in_words(text: bytes, stream: bool) -> None:
    """As those write them who know no other types than texts."""
    assert form(MODEL, Piece("stream", text)).stream is stream


def test_parts_are_picked_and_renamed_with_their_contents() -> None:
    """For vendors whose form has other fields: heads and contents stay."""
    read = form(Piece("prompt", b"x"), MODEL, SOUND, Piece("words[]", b"a"), Piece("words[]", b"b"))

    picked = read.picked({"file": "file", "words[]": "words"})

    expected = [SOUND, Piece("words", b"a"), Piece("words", b"b")]
    assert picked == written(expected)


BAD = {
    "no content-type boundary": (written([MODEL]), "multipart/form-data"),
    "two boundaries": (written([MODEL]), "multipart/form-data; boundary=frontier; boundary=x"),
    "a boundary twice joined": (written([MODEL]), f"{TYPE}, {TYPE}"),
    "another boundary": (written([MODEL]), "multipart/form-data; boundary=other"),
    "no form at all": (b'{"model": "x"}', TYPE),
    "empty": (b"", TYPE),
    "no end": (written([MODEL])[:-4], TYPE),
    "cut in a content": (written([MODEL, SOUND])[:150], TYPE),
    "cut in a head": (written([MODEL, SOUND])[:40], TYPE),
    "a preamble": (b"hello\r\n" + written([MODEL]), TYPE),
    "line feeds only": (written([MODEL]).replace(b"\r\n", b"\n"), TYPE),
    "two models": (written([MODEL, SOUND, MODEL]), TYPE),
    "two streams": (written([MODEL, Piece("stream", b"1"), Piece("stream", b"0")]), TYPE),
    "a model that is a file": (written([MODEL._replace(filename="x")]), TYPE),
    "a model that is no text": (written([Piece("model", b"\xff")]), TYPE),
    "an endless model": (written([Piece("model", b"x" * 2_000_000)]), TYPE),
    "no name": (written([MODEL]).replace(b'; name="model"', b""), TYPE),
    "two names": (written([MODEL]).replace(b'"model"', b'"a"; name="model"'), TYPE),
    "an encoded name": (written([MODEL]).replace(b'name="', b"name*=\"utf-8''"), TYPE),
    "both names": (written([MODEL]).replace(b'"model"', b'"a"; name*="model"'), TYPE),
    "a quoted name": (written([MODEL]).replace(b"model", b"mo\\del"), TYPE),
    "no disposition": (written([MODEL]).replace(b"Disposition", b"Position"), TYPE),
    "two dispositions": (
        written([MODEL._replace(more=('Content-Disposition: form-data; name="x"',))]),
        TYPE,
    ),
    "an attachment": (written([MODEL]).replace(b"form-data;", b"attachment;"), TYPE),
    "a folded head": (written([MODEL]).replace(b"; name", b";\r\n name"), TYPE),
    "a line feed in a head": (
        written([Piece("a", b"x", None, ('X: 1\nContent-Disposition: form-data; name="model"',))]),
        TYPE,
    ),
    "an encoded content": (
        written([MODEL._replace(more=("Content-Transfer-Encoding: base64",))]),
        TYPE,
    ),
    "a boundary that goes on": (written([MODEL]).replace(b"ier\r\n", b"ier!\r\n"), TYPE),
    "a boundary after a line feed": (
        written([MODEL, Piece("file", b'x\n--frontier\nContent-Disposition: form-data; name="a"')]),
        TYPE,
    ),
    "a boundary at once behind a head": (
        written([MODEL]).replace(b"whisper-1\r\n", b""),
        TYPE,
    ),
    "an endless head": (written([MODEL._replace(more=("X: " + "x" * 20_000,))]), TYPE),
    "endless parts": (written([MODEL, *[Piece("a", b"")] * 2000]), TYPE),
    "nothing but its end": (b"--frontier--\r\n", TYPE),
}


@pytest.mark.parametrize(("body", "content_type"), BAD.values(), ids=BAD.keys())
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, content_type: str) -> None:
    """The vendor must not find another model in it than the one that was allowed."""
    with pytest.raises(InvalidRequest):
        Form(body, content_type)


def test_oddities_that_mean_one_thing_are_read() -> None:
    """Spaces behind a boundary, names without quotes, other orders and capitals, an epilogue."""
    body = (
        b"\r\n--frontier \t\r\ncontent-type: text/plain\r\n"
        b"CONTENT-DISPOSITION:form-data ; name=model\r\n\r\nwhisper-1\r\n"
        b"--frontier\r\nContent-Transfer-Encoding: binary\r\n"
        b'Content-Disposition: form-data; filename="name=\\"model\\"; x"; name="file"'
        b"\r\n\r\n\x00\r\n"
        b"--frontier--\r\nepilogue"
    )
    read = Form(body, 'Multipart/Form-Data; charset=utf-8; boundary="frontier"')

    assert read.model == "whisper-1"
    assert [(part.name, part.is_file) for part in read.parts] == [("model", False), ("file", True)]
    assert read.encode({"model": b'"x"'}) == body.replace(b"whisper-1", b"x")


def test_a_text_cannot_bring_parts_of_its_own_into_the_form() -> None:
    """Nor can a field be replaced of which there are several."""
    read = form(MODEL, Piece("a", b"1"), Piece("a", b"2"))

    with pytest.raises(InvalidRequest, match="boundary"):
        read.encode({"model": msgspec.json.encode("x\r\n--frontier\r\n\r\n")})
    with pytest.raises(InvalidRequest, match="several times"):
        read.encode({"a": b'"3"'})


def test_a_field_that_is_missing_or_of_another_type_is_named() -> None:
    """As in a body of JSON."""
    with pytest.raises(InvalidRequest, match="`model` is missing") as raised:
        form(SOUND)
    assert raised.value.param == "model"
    with pytest.raises(InvalidRequest, match="n"):
        form(MODEL, Piece("n", b"many")).view(msgspec.defstruct("Asked", [("n", int)]))


def test_the_type_of_a_body_tells_a_form() -> None:
    """Capitals and parameters do not matter."""
    assert is_form(" Multipart/form-data; boundary=x")
    assert not is_form("application/json")
    assert not is_form("")


def test_reading_takes_time_in_proportion_to_the_body() -> None:
    """Many parts, or much that looks like a boundary, are no way to keep the gateway busy."""
    body = written([MODEL, *[Piece("a", b"\r\n-" * 1000)] * 1000])

    assert len(Form(body, TYPE).parts) == 1001
    assert re.sub(rb"whisper-1", b"x", body) == Form(body, TYPE).encode({"model": b'"x"'})

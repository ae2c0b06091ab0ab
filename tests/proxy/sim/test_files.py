"""Forms, and files in memory."""

import pytest

from proxy.sim import files
from proxy.sim.files import File, Files, read_form
from proxy.sim.refusal import Refusal

TYPE = "multipart/form-data; boundary=xyz"


def form(*parts: tuple[str, bytes]) -> bytes:
    pieces = [
        f"--xyz\r\ncontent-disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join(pieces) + b"--xyz--\r\n"


def test_a_form_is_read() -> None:
    """Fields and files, binary and empty ones; a list's brackets are not its name."""
    body = form(
        ('name="a"', b"1"), ('name="f[]"; filename="x y.bin"', b"\0\r\n--xy\xff"), ('name="e"', b"")
    )
    found = read_form(TYPE, body)
    assert found["a"].text == "1"
    assert (found["f"].filename, found["f"].content) == ("x y.bin", b"\0\r\n--xy\xff")
    assert found["e"].content == b""
    assert read_form('Multipart/Form-Data; boundary="xyz"', body) == found


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", form()),
        ("multipart/form-data", form()),
        (TYPE, b"--xyz\r\n"),
        (TYPE, b""),
    ],
)
def test_what_is_no_form_is_refused(kind: str, body: bytes) -> None:
    """Another type, no boundary, no end."""
    with pytest.raises(Refusal):
        read_form(kind, body)


def test_files_come_and_go() -> None:
    """The newest first; a removed file is not found."""
    held = Files()
    for name in "ab":
        held.add(File(name, f"{name}.txt", "batch", b"x", 5))
    assert [file.id for file in held.all()] == ["b", "a"]
    assert held.get("a").document["bytes"] == 1
    held.remove("a")
    with pytest.raises(Refusal) as caught:
        held.remove("a")
    assert caught.value.status == 404


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither too many files nor too many bytes are kept."""
    monkeypatch.setattr(files, "MAX_FILES", 2)
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    held = Files()
    held.add(File("a", "", "", b"123456789", 0))
    with pytest.raises(Refusal):
        held.add(File("b", "", "", b"12", 0))
    held.add(File("b", "", "", b"1", 0))
    with pytest.raises(Refusal):
        held.add(File("c", "", "", b"", 0))

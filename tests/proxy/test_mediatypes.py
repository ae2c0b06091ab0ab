"""What kinds of file are passed on."""

from __future__ import annotations

import pytest

from proxy.mediatypes import kind, may_be

PNG = b"\x89PNG\r\n\x1a\n...."


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\n\n\n\nWEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"\0\0\0\x1cftypheic", "image/heic"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"OggS\0", "audio/ogg"),
        (b"fLaC\0", "audio/flac"),
        (b"MZ\x90\0", None),
        (b"", None),
    ],
)
def test_a_file_its_server_does_not_name_is_known_by_its_first_bytes(
    body: bytes, found: str | None
) -> None:
    """Object stores often say `application/octet-stream` for everything."""
    for claimed in ("", "application/octet-stream", "binary/octet-stream"):
        assert may_be(claimed)
        assert kind(claimed, body) == found


def test_the_first_bytes_win_over_a_wrong_name() -> None:
    """Vendors refuse a picture whose name does not match."""
    assert kind("image/jpeg", PNG) == "image/png"


@pytest.mark.parametrize("claimed", ["image/svg+xml", "audio/x-wav", "text/csv", "application/pdf"])
def test_what_is_allowed_is_believed(claimed: str) -> None:
    """There is no magic number for every kind."""
    assert may_be(claimed)
    assert kind(claimed, b"anything") == claimed


@pytest.mark.parametrize(
    "claimed", ["application/json", "video/mp4", "image/", "image/x y", "x-image/png", "text"]
)
def test_anything_else_is_not_passed_on(claimed: str) -> None:
    """A URL must not read an API for whoever names it."""
    assert not may_be(claimed)
    assert kind(claimed, b"anything") is None

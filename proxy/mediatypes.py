"""What kinds of file are passed on, and what kind a file is.

Servers often say nothing useful (`application/octet-stream`) or the wrong image format, and
vendors refuse what does not match; the first bytes do not lie.

Source: https://mimesniff.spec.whatwg.org (2026-11-21)
"""

from __future__ import annotations

import re

_ALLOWED = re.compile(r"(image|audio|text)/[a-z0-9][a-z0-9.+_-]{0,80}|application/pdf")
_UNKNOWN = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb"....ftyp(heic|heix|mif1)", re.DOTALL), "image/heic"),
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"ID3[\x02-\x04]\x00|\xff[\xfb\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"fLaC"), "audio/flac"),
)


def may_be(claimed: str) -> bool:
    """Whether a file whose server says this may be one we pass on.

    Args:
        claimed: a MIME type in lower case without parameters; empty: nothing was said.
    """
    return claimed in _UNKNOWN or _ALLOWED.fullmatch(claimed) is not None


def kind(claimed: str, body: bytes) -> str | None:
    """Return what a file is, by its first bytes, else by what its server says.

    None means that it is nothing we pass on.
    """
    for magic, found in _MAGIC:
        if magic.match(body):
            return found
    return claimed if _ALLOWED.fullmatch(claimed) else None

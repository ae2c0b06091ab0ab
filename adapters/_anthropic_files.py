"""Images and documents: OpenAI's parts to Claude's blocks.

Source: https://platform.claude.com/docs/en/build-with-claude/vision,
https://platform.claude.com/docs/en/build-with-claude/pdf-support (2026-11-21)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from proxy.adapter import Media
from proxy.chat import File

_PDF = "application/pdf"
_TEXTS = frozenset(
    {
        *("application/json", "application/xml", "application/yaml", "application/x-yaml"),
        *("application/javascript", "application/toml", "application/sql"),
    }
)
_SAME = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
_SUFFIXES = {
    "pdf": _PDF,
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "json": "application/json",
    "xml": "application/xml",
    "yaml": "application/yaml",
    **dict.fromkeys(("txt", "md", "csv", "tsv", "html", "htm", "log", "py", "js"), "text/plain"),
}
_MAGIC = {"JVBERi": _PDF, "iVBORw": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif"}


class _Content:
    """Bytes of a known type, as base64."""

    __slots__ = ("base64", "type")

    def __init__(self, content_type: str, encoded: str) -> None:
        self.type = _SAME.get(content_type, content_type)
        self.base64 = encoded

    def source(self) -> dict[str, Any]:
        """Return the vendor's source of it."""
        return {"type": "base64", "media_type": self.type, "data": self.base64}


def is_url(value: str) -> bool:
    """Whether `value` is to be fetched by somebody."""
    return value.startswith(("https://", "http://"))


def is_text(file: File) -> bool:
    """Whether a file by URL is text, by its name or its URL's: of such the vendor takes none."""
    url = file.file_data or ""
    if not is_url(url):
        return False
    kind = _type_of(file.filename or "") or _type_of(url.partition("?")[0])
    return kind.startswith("text/") or kind in _TEXTS


def image(url: str, media: Mapping[str, Media]) -> dict[str, Any] | None:
    """Return an image block; None if `url` is no URL of an image."""
    if url in media or url.startswith("data:"):
        content = _content(url, media)
        return None if content is None else {"type": "image", "source": content.source()}
    return {"type": "image", "source": {"type": "url", "url": url}} if is_url(url) else None


def document(file: File, media: Mapping[str, Media]) -> dict[str, Any] | None:
    """Return the block for a file; None if it is of no kind that Claude reads."""
    value = file.file_data or file.file_id or ""
    name = file.filename or ""
    if is_url(value) and value not in media:
        block: dict[str, Any] = {"type": "document", "source": {"type": "url", "url": value}}
    elif file.file_data or value in media:
        content = _content(value, media) or _guessed(value, name)
        found = None if content is None else _block(content)
        if found is None or found["type"] == "image":
            return found
        block = found
    elif value:
        kind = "image" if _type_of(name).startswith("image/") else "document"
        block = {"type": kind, "source": {"type": "file", "file_id": value}}
    else:
        return None
    return {**block, "title": name} if name and block["type"] == "document" else block


def _content(url: str, media: Mapping[str, Media]) -> _Content | None:
    """Read a `data:` URL, or what was fetched for another."""
    if url in media:
        fetched = media[url]
        return _Content(fetched.content_type, base64.b64encode(fetched.body).decode("ascii"))
    if not url.startswith("data:"):
        return None
    head, _, body = url[5:].partition(",")
    content_type, *parameters = head.split(";")
    if "base64" not in parameters:
        body = base64.b64encode(unquote_to_bytes(body)).decode("ascii")
    return _Content((content_type or "text/plain").lower(), body)


def _guessed(encoded: str, name: str) -> _Content | None:
    """Read plain base64 whose type only its name or its first bytes tell."""
    found = next((kind for magic, kind in _MAGIC.items() if encoded.startswith(magic)), "")
    kind = found or _type_of(name)
    return _Content(kind, encoded) if kind else None


def _type_of(name: str) -> str:
    return _SUFFIXES.get(name.rpartition(".")[2].lower(), "")


def _block(content: _Content) -> dict[str, Any] | None:
    if content.type == _PDF:
        return {"type": "document", "source": content.source()}
    if content.type.startswith("image/"):
        return {"type": "image", "source": content.source()}
    if not content.type.startswith("text/") and content.type not in _TEXTS:
        return None
    try:
        text = base64.b64decode(content.base64).decode("utf-8", "replace")
    except binascii.Error:
        return None
    return {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": text},
    }

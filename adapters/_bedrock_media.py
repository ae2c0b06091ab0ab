"""Files of a conversation as Converse takes them: by their bytes, or from a bucket.

A file is an image, a document, a video or audio, each a block of its own with a format that
is one of a few words. `https:` URLs the service does not fetch; the core does it before.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
(2026-11-21) and botocore's model of the service, 1.44.5.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from proxy.adapter import Target
from proxy.chat import ChatRequest, File, Part
from proxy.errors import InvalidRequest
from proxy.wire import Request

IMAGE, DOCUMENT, VIDEO, AUDIO = "image", "document", "video", "audio"

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMATS = {
    "image/png": (IMAGE, "png"),
    "image/jpeg": (IMAGE, "jpeg"),
    "image/jpg": (IMAGE, "jpeg"),
    "image/gif": (IMAGE, "gif"),
    "image/webp": (IMAGE, "webp"),
    "application/pdf": (DOCUMENT, "pdf"),
    "text/csv": (DOCUMENT, "csv"),
    "application/msword": (DOCUMENT, "doc"),
    _WORD: (DOCUMENT, "docx"),
    "application/vnd.ms-excel": (DOCUMENT, "xls"),
    _SHEET: (DOCUMENT, "xlsx"),
    "text/html": (DOCUMENT, "html"),
    "text/plain": (DOCUMENT, "txt"),
    "text/markdown": (DOCUMENT, "md"),
    "video/x-matroska": (VIDEO, "mkv"),
    "video/quicktime": (VIDEO, "mov"),
    "video/mp4": (VIDEO, "mp4"),
    "video/webm": (VIDEO, "webm"),
    "video/x-flv": (VIDEO, "flv"),
    "video/mpeg": (VIDEO, "mpeg"),
    "video/x-ms-wmv": (VIDEO, "wmv"),
    "video/3gpp": (VIDEO, "three_gp"),
    "audio/mpeg": (AUDIO, "mp3"),
    "audio/mp3": (AUDIO, "mp3"),
    "audio/wav": (AUDIO, "wav"),
    "audio/x-wav": (AUDIO, "wav"),
    "audio/aac": (AUDIO, "aac"),
    "audio/flac": (AUDIO, "flac"),
    "audio/ogg": (AUDIO, "ogg"),
    "audio/opus": (AUDIO, "opus"),
    "audio/mp4": (AUDIO, "m4a"),
    "audio/webm": (AUDIO, "webm"),
}
_EXTENSIONS = {
    **{word: (kind, word) for kind, word in _FORMATS.values()},
    **{"jpg": (IMAGE, "jpeg"), "htm": (DOCUMENT, "html"), "mpg": (VIDEO, "mpg")},
    **{"3gp": (VIDEO, "three_gp"), "webm": (VIDEO, "webm"), "mp4": (VIDEO, "mp4")},
}
_AUDIO_FORMATS = frozenset(
    {
        *("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a"),
        *("mpeg", "mpga", "pcm", "pcm16", "webm"),
    }
)
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_FETCHED = ("https://", "http://")
_BUCKET = "s3://"
_NO_NAME = re.compile(r"[^0-9A-Za-z\s\-()\[\]]+")
_LONGEST_NAME = 200


def urls(request: Request) -> Sequence[str]:
    """Return the URLs in a request that somebody must fetch for the service."""
    if b"http" not in (request.raw("messages") or b""):
        return ()
    parts = (part for m in request.view(ChatRequest).messages for part in m.parts)
    return [url for part in parts for url in _urls(part) if url.lower().startswith(_FETCHED)]


def _urls(part: Part) -> Iterable[str]:
    if part.image_url is not None:
        yield part.image_url.url
    if part.video_url is not None:
        yield part.video_url.url
    if part.file is not None and part.file.file_data:
        yield part.file.file_data


class Names:
    """The names of one request's documents, of which no two may be the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, filename: str | None) -> str:
        """Return the nearest name the service takes that nobody has yet."""
        stem = (filename or "").rpartition("/")[2].rpartition(".")
        plain = _NO_NAME.sub(" ", stem[0] or stem[2])
        base = " ".join(plain.split())[: _LONGEST_NAME - 5] or DOCUMENT
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base} {number}"
        self._taken.add(name)
        return name


def from_url(url: str, where: str, target: Target) -> dict[str, Any]:
    """Return the block for a `data:`, `s3:` or fetched URL.

    Raises:
        InvalidRequest: the URL cannot be read, or the file is of no kind the service takes.
    """
    if url.startswith(_BUCKET):
        return _from_bucket(url, where)
    if (fetched := target.media.get(url)) is not None:
        content = base64.b64encode(fetched.body).decode()
        return _block(_kind(fetched.content_type, where), {"bytes": content})
    mime, content = _from_data_url(url, where)
    return _block(_kind(mime, where), {"bytes": content})


def from_file(file: File, where: str, target: Target, names: Names) -> dict[str, Any]:
    """Return the block for a `file` part.

    Raises:
        InvalidRequest: it names a file we do not have, or is of no kind the service takes.
    """
    given = file.file_data or file.file_id or ""
    if given.startswith((_BUCKET, "data:", *_FETCHED)):
        block = from_url(given, where, target)
    elif file.file_data:
        kind = _by_name(file.filename or "", where)
        block = _block(kind, {"bytes": file.file_data})
    else:
        raise InvalidRequest("the provider keeps no files; send `file_data`", param=where)
    if DOCUMENT in block:
        shown = file.filename or (given if given.startswith(_BUCKET) else None)
        block[DOCUMENT]["name"] = names.take(shown)
    return block


def from_audio(content: str, word: str, where: str) -> dict[str, Any]:
    """Return the block for an `input_audio` part.

    Raises:
        InvalidRequest: the service does not take this format.
    """
    if word not in _AUDIO_FORMATS:
        raise InvalidRequest(f"the provider takes no {word!r} audio", param=where)
    return _block((AUDIO, word.removesuffix("16")), {"bytes": content})


def _block(kind: tuple[str, str], source: dict[str, Any]) -> dict[str, Any]:
    return {kind[0]: {"format": kind[1], "source": source}}


def _kind(mime: str, where: str) -> tuple[str, str]:
    plain = mime.partition(";")[0].strip().lower()
    if (found := _FORMATS.get(plain)) is None:
        raise InvalidRequest(f"the provider takes no files of type {plain!r}", param=where)
    return found


def _by_name(filename: str, where: str) -> tuple[str, str]:
    found = _EXTENSIONS.get(filename.rpartition(".")[2].lower())
    if found is None:
        raise InvalidRequest(f"what is {filename!r}? its ending does not say", param=where)
    return found


def _from_bucket(url: str, where: str) -> dict[str, Any]:
    return _block(_by_name(url, where), {"s3Location": {"uri": url}})


def _from_data_url(url: str, where: str) -> tuple[str, str]:
    """Return the MIME type and the base64 of a `data:` URL."""
    found = _DATA_URL.match(url)
    if found is None:
        raise InvalidRequest("is neither a data: nor an https: URL", param=where)
    content = url[found.end() :]
    if found[2].lower().endswith(";base64"):
        return found[1], content
    return found[1], base64.b64encode(unquote_to_bytes(content)).decode()

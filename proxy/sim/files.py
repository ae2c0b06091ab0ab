"""Uploaded files in memory, and the multipart form they arrive in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from proxy.sim.refusal import Refusal

MAX_FILES = 1000
MAX_BYTES = 256 * 1024 * 1024
"""All files together."""

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Part(NamedTuple):
    """One field of a form; `filename` is empty where it is no file."""

    content: bytes
    filename: str = ""

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")


def read_form(content_type: str, body: bytes) -> Mapping[str, Part]:
    """Read a `multipart/form-data` body.

    Source: https://www.rfc-editor.org/rfc/rfc7578 (2026-11-21)

    Raises:
        Refusal: 400, it is none.
    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or not found:
        raise Refusal(400, "the body must be multipart/form-data with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + found.group(1).encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Refusal(400, "the multipart body does not end with its boundary")
    parts = {}
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        parameters = dict(_PARAMETER.findall(head.decode("utf-8", "replace")))
        name = parameters.get("name", "").removesuffix("[]")
        parts[name] = Part(content, parameters.get("filename", ""))
    return parts


class File(NamedTuple):
    """An uploaded file; `created` is a Unix time in seconds."""

    id: str
    filename: str
    purpose: str
    content: bytes
    created: int

    @property
    def document(self) -> dict[str, object]:
        """OpenAI's description of it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created,
            "expires_at": None,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class Files:
    """All files there are."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def add(self, file: File) -> None:
        """Keep a file.

        Raises:
            Refusal: 400, there is no room for it.
        """
        held = sum(len(known.content) for known in self._files.values())
        if len(self._files) >= MAX_FILES or held + len(file.content) > MAX_BYTES:
            raise Refusal(
                400,
                f"the simulator keeps {MAX_FILES} files of {MAX_BYTES} bytes together",
                code="storage_full",
            )
        self._files[file.id] = file

    def get(self, id: str) -> File:
        """Return a file.

        Raises:
            Refusal: 404, there is none of this id.
        """
        if id not in self._files:
            raise Refusal(404, f"No such File object: {id}", param="id")
        return self._files[id]

    def remove(self, id: str) -> None:
        """Forget a file.

        Raises:
            Refusal: 404, there is none of this id.
        """
        self.get(id)
        del self._files[id]

    def all(self) -> list[File]:
        """Return all files, the newest first."""
        return list(reversed(self._files.values()))

"""A conversation as Google's models take it: turns of parts, and the system's words apart.

Three things differ from OpenAI. There is no role for tools: their results are parts of the
user's turn, all results of one turn together, and name their function. Files are parts, by
their bytes or by a URI. And a call may carry a signature of the thoughts behind it, which
newer models insist on getting back.

Sources: https://ai.google.dev/api/caching#Content and
https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-21)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from proxy.adapter import Dropped, Target
from proxy.chat import ChatRequest, File, ImageUrl, InputAudio, Message, Part, ToolCall
from proxy.errors import InvalidRequest
from proxy.wire import Request

SIGNATURE = "thought_signature"
"""The type of our `thinking_blocks`; no other vendor's blocks are called so."""

MEMORY = b"google-thought-signature:"
"""What stands before a remembered signature; other vendors remember other things."""

NO_SIGNATURE = "skip_thought_signature_validator"
"""What the vendor takes in place of a signature for calls that none of its models made."""

FILES = "https://generativelanguage.googleapis.com/v1beta/"

MIME_TYPES = {
    **{"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"},
    **{"heic": "image/heic", "heif": "image/heif", "gif": "image/gif", "bmp": "image/bmp"},
    **{"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv"},
    **{"html": "text/html", "xml": "text/xml", "json": "application/json"},
    **{"wav": "audio/wav", "mp3": "audio/mp3", "aiff": "audio/aiff", "aac": "audio/aac"},
    **{"ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/m4a", "pcm16": "audio/pcm"},
    **{"mp4": "video/mp4", "mpeg": "video/mpeg", "mov": "video/mov", "webm": "video/webm"},
}
_GENERATION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_OWN = re.compile(
    r"gs://|https://generativelanguage\.googleapis\.com/|https://(?:www\.)?youtu(?:be\.com|\.be)/"
)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def generation(model: str) -> tuple[int, int] | None:
    """Return (2, 5) of "gemini-2.5-flash"; None for names that do not say."""
    found = _GENERATION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def mime_type(name: str) -> str | None:
    """Guess a type by the end of a file's name or of a URL's path."""
    return MIME_TYPES.get(urlsplit(name).path.rpartition(".")[2].lower())


def media_urls(request: Request) -> list[str]:
    """Return the URLs of files that the vendor's models do not all fetch themselves.

    Raises:
        InvalidRequest: the messages cannot be read.
    """
    raw = request.raw("messages") or b""
    if b"image_url" not in raw and b'"file"' not in raw:
        return []
    parts = [part for message in request.view(ChatRequest).messages for part in message.parts]
    urls = [part.image_url.url for part in parts if part.image_url is not None]
    for file in (part.file for part in parts if part.file is not None):
        urls += [url for url in (file.file_data, file.file_id) if url is not None]
    return [url for url in urls if _is_link(url) and not _OWN.match(url)]


def _is_link(value: str) -> bool:
    return value.startswith(("https://", "http://"))


def inline(content_type: str, data: str) -> dict[str, Any]:
    """Return a part of bytes; `data` is base64."""
    return {"inlineData": {"mimeType": content_type, "data": data}}


def linked(uri: str, guessed: str | None = None) -> dict[str, Any]:
    """Return a part that the vendor fetches."""
    known = guessed or mime_type(uri)
    return {"fileData": {"fileUri": uri, **({"mimeType": known} if known else {})}}


def from_data_url(url: str) -> dict[str, Any]:
    """Return the part that a `data:` URL is.

    Raises:
        InvalidRequest: it has no comma.
    """
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma:
        raise InvalidRequest("a `data:` URL has no data", param="messages")
    content_type, *parameters = head.split(";")
    if "base64" not in parameters:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return inline(content_type or "text/plain", data)


def from_url(url: str, target: Target) -> dict[str, Any]:
    """Return the part for a URL: its bytes where we have them, else the URL itself."""
    if url.startswith("data:"):
        return from_data_url(url)
    fetched = target.media.get(url)
    if fetched is not None:
        return inline(fetched.content_type, base64.b64encode(fetched.body).decode())
    return linked(url)


def arguments(text: str) -> msgspec.Raw | dict[str, Any]:
    """Return a call's arguments as the object the vendor wants, byte for byte where it is one."""
    if not text.strip():
        return {}
    found = _object(text)
    return {"arguments": text} if found is None else found


def _object(text: str) -> msgspec.Raw | None:
    """Return JSON text if it is an object."""
    raw = text.encode()
    try:
        _OBJECT.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return msgspec.Raw(raw)


class Conversation:
    """Builds the turns of one request, message by message.

    Attributes:
        system: the parts of the system's instruction.
        contents: the turns.
        dropped: what of the messages is in neither.
    """

    def __init__(self, messages: Sequence[Message], target: Target) -> None:
        """Read `messages`.

        Raises:
            InvalidRequest: a role nobody knows, or a part that lacks its content.
        """
        self.system: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []
        self.dropped: list[Dropped] = []
        self._target = target
        self._newer = (generation(target.model) or (0, 0)) >= (3, 0)
        self._calls: dict[str, tuple[int, str]] = {}
        self._results: list[tuple[int, list[dict[str, Any]]]] = []
        for index, message in enumerate(messages):
            take = _ROLES.get(message.role)
            if take is None:
                raise InvalidRequest(f"unknown role {message.role!r}", param=f"messages[{index}]")
            if take is not Conversation._result:
                self._end_results()
            take(self, message)
            if message.name and take is not Conversation._result:
                self._lose("messages.name", "there are no names of speakers")
            if message.cache_control:
                self._lose("cache_control", "what is cached is decided by the vendor")
        self._end_results()
        if self.system and not self.contents:
            self.contents, self.system = [{"role": "user", "parts": self.system}], []

    def _instruct(self, message: Message) -> None:
        self.system += self._parts(message)

    def _ask(self, message: Message) -> None:
        self.contents.append({"role": "user", "parts": self._parts(message) or [{"text": ""}]})

    def _answer(self, message: Message) -> None:
        """A turn of the model: its text and its calls, with the signatures they came with."""
        signatures = _signatures(message.thinking_blocks or ())
        parts = self._parts(message)
        if not parts and message.refusal:
            parts = [{"text": message.refusal}]
        if parts and "" in signatures:
            parts[-1]["thoughtSignature"] = signatures[""]
        for number, call in enumerate(message.tool_calls or ()):
            self._calls[call.id] = (len(self._calls), call.function.name)
            parts.append(self._call(call, signatures, first=number == 0))
        if parts:
            self.contents.append({"role": "model", "parts": parts})

    def _call(
        self, call: ToolCall, signatures: Mapping[str, str], *, first: bool
    ) -> dict[str, Any]:
        part: dict[str, Any] = {
            "functionCall": {
                "id": call.id,
                "name": call.function.name,
                "args": arguments(call.function.arguments),
            }
        }
        signature = signatures.get(call.id) or self._remembered(call.id)
        if signature is None and first and self._newer:
            signature = NO_SIGNATURE
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _remembered(self, call_id: str) -> str | None:
        found = self._target.recall(call_id)
        if found is None or not found.startswith(MEMORY):
            return None
        return found.removeprefix(MEMORY).decode()

    def _result(self, message: Message) -> None:
        """What a tool gave: text as `output`, an object as it is, files beside it."""
        call_id = message.tool_call_id or ""
        position, name = self._calls.get(call_id, (len(self._calls), message.name or call_id))
        output = _object(message.text)
        response: dict[str, Any] = {
            "name": name,
            "response": {"output": message.text} if output is None else output,
        }
        if call_id:
            response["id"] = call_id
        files = [self._part(part) for part in message.parts if part.type not in _TEXTS]
        beside = [file for file in files if file is not None]
        if beside and self._newer:
            response["parts"], beside = beside, []
        self._results.append((position, [{"functionResponse": response}, *beside]))

    def _end_results(self) -> None:
        """Close a run of results: one turn, in the order of the calls."""
        if self._results:
            ordered = sorted(self._results, key=lambda result: result[0])
            responses = [parts[0] for _, parts in ordered]
            files = [file for _, parts in ordered for file in parts[1:]]
            self.contents.append({"role": "user", "parts": responses + files})
            self._results = []

    def _parts(self, message: Message) -> list[dict[str, Any]]:
        parts = [self._part(part) for part in message.parts]
        return [part for part in parts if part is not None]

    def _part(self, part: Part) -> dict[str, Any] | None:
        if part.cache_control:
            self._lose("cache_control", "what is cached is decided by the vendor")
        if part.type in _TEXTS:
            return {"text": part.text or part.refusal or ""}
        member, take = _PARTS.get(part.type, ("", None))
        if take is None:
            self._lose(f"messages.content.{part.type}", "there is no such part")
            return None
        value = getattr(part, member)
        if value is None:
            raise InvalidRequest(f"a part {part.type!r} has no `{member}`", param="messages")
        return take(self, value)

    def _image(self, image: ImageUrl) -> dict[str, Any]:
        if image.detail not in (None, "auto"):
            self._lose("messages.content.image_url.detail", "use `media_resolution`")
        return from_url(image.url, self._target)

    def _audio(self, audio: InputAudio) -> dict[str, Any]:
        return inline(MIME_TYPES.get(audio.format, f"audio/{audio.format}"), audio.data)

    def _file(self, file: File) -> dict[str, Any]:
        value = file.file_data or file.file_id or ""
        if value.startswith("data:") or value in self._target.media:
            return from_url(value, self._target)
        if file.file_data and not _is_link(value):
            return inline(_named(file.filename) or "application/pdf", value)
        uri = FILES + value if value.startswith("files/") else value
        return linked(uri, _named(file.filename))

    def _lose(self, name: str, reason: str) -> None:
        lost = Dropped(name, reason)
        if lost not in self.dropped:
            self.dropped.append(lost)


def _named(filename: str | None) -> str | None:
    return mime_type(filename) if filename else None


def _signatures(blocks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the signatures in `thinking_blocks` by call id; that of the text under ""."""
    return {
        str(block.get("tool_call_id") or ""): str(block["signature"])
        for block in blocks
        if block.get("type") == SIGNATURE and block.get("signature")
    }


_ROLES = {
    "system": Conversation._instruct,
    "developer": Conversation._instruct,
    "user": Conversation._ask,
    "assistant": Conversation._answer,
    "tool": Conversation._result,
    "function": Conversation._result,
}
_TEXTS = frozenset({"text", "input_text", "refusal"})
_PARTS: dict[str, tuple[str, Callable[[Conversation, Any], dict[str, Any]] | None]] = {
    "image_url": ("image_url", Conversation._image),
    "input_audio": ("input_audio", Conversation._audio),
    "file": ("file", Conversation._file),
}

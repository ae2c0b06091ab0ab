"""Messages of a chat whose parts stay raw: vendors near OpenAI know parts that OpenAI does not.

Parts a vendor translates are decoded one by one; all others go on as they came.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from proxy.adapter import Dropped, Target
from proxy.chat import File, Part, ToolCall
from proxy.errors import InvalidRequest
from proxy.wire import Request

_FILES = ("text/", "application/json", "application/xml", "application/x-yaml")


class Turn(msgspec.Struct):
    """One message; see `proxy.chat.Message`.

    Attributes:
        prefix: whether the answer begins with this message.
        tool_plan: what the model meant to do, as one vendor calls it.
    """

    role: str
    content: str | list[msgspec.Raw] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    prefix: bool | None = None
    tool_plan: str | None = None

    @property
    def thoughts(self) -> str:
        """The model's thoughts as text, under whichever name the client knows them."""
        return self.reasoning_content or self.reasoning or ""


class Losses:
    """Collects what a request loses, each thing once."""

    def __init__(self, dropped: list[Dropped]) -> None:
        self.found = dropped

    def add(self, name: str, reason: str) -> None:
        """Say that the member `name` is not sent, and why."""
        loss = Dropped(name, reason)
        if loss not in self.found:
            self.found.append(loss)


Translate = Callable[[Part, Losses], Any]
"""One part to the vendor's own; None where the vendor has nothing like it."""


def turns(request: Request) -> list[Turn]:
    """Return the messages of a request.

    Raises:
        InvalidRequest: there are none, or one has another form.
    """
    found = request.get("messages", list[Turn])
    if found is None:
        raise InvalidRequest("`messages` is missing", param="messages")
    return found


def content(turn: Turn, table: Mapping[str, Translate], losses: Losses) -> Any:
    """Return a message's content as the vendor takes it.

    Args:
        turn: its refusal stands for missing content.
        table: by type, what translates a part; parts of other types or forms pass unchanged.
        losses: gets what had to be left out.

    Raises:
        InvalidRequest: a part lacks what its type demands.
    """
    if not isinstance(turn.content, list):
        return turn.content or turn.refusal or ""
    found: list[Any] = []
    for raw in turn.content:
        part = _part(raw)
        translate = table.get(part.type) if part else None
        translated = raw if part is None or translate is None else translate(part, losses)
        if translated is not None:
            found.append(translated)
    return found


def recalled(turn: Turn, target: Target) -> bytes | None:
    """Return what was remembered for the calls of a message, or None."""
    for call in turn.tool_calls or ():
        found = target.recall(call.id)
        if found is not None:
            return found
    return None


def text_part(part: Part, losses: Losses) -> Any:
    """Return a part of text; a refusal is one too."""
    return {"type": "text", "text": part.text or part.refusal or ""}


def demanded(value: Any, name: str) -> Any:
    """Return a part's member that its type promises.

    Raises:
        InvalidRequest: it is missing.
    """
    if value is None:
        raise InvalidRequest(f"a part of a message lacks its `{name}`", param="messages")
    return value


class Inline(NamedTuple):
    """A file inside the request."""

    content_type: str
    base64: str

    @property
    def text(self) -> str | None:
        """Its words; None where it is no text."""
        if not self.content_type.startswith(_FILES):
            return None
        return base64.b64decode(self.base64, validate=False).decode("utf-8", "replace")


def inline(url: str, content_type: str = "application/octet-stream") -> Inline | None:
    """Read a `data:` URL, or bare base64 of `content_type`; None for a URL of another kind.

    Raises:
        InvalidRequest: a `data:` URL without data.
    """
    if not url.startswith("data:"):
        return None if "://" in url[:16] else Inline(content_type, url)
    head, comma, body = url.removeprefix("data:").partition(",")
    if not comma:
        raise InvalidRequest("a `data:` URL has no data", param="messages")
    kind, *parameters = head.split(";")
    if "base64" not in parameters:
        body = base64.b64encode(unquote_to_bytes(body)).decode()
    return Inline(kind or "text/plain", body)


def text_of(file: File) -> str | None:
    """Return the words of a file that is text; None for every other file.

    Raises:
        InvalidRequest: it is no base64.
    """
    found = inline(file.file_data) if file.file_data else None
    try:
        return found.text if found else None
    except ValueError:
        raise InvalidRequest("`file_data` is no base64", param="messages") from None


def _part(raw: msgspec.Raw) -> Part | None:
    """Return a part of OpenAI's; None for one of another form, which the vendor may know."""
    try:
        return msgspec.json.decode(raw, type=Part)
    except msgspec.MsgspecError:
        return None

"""A conversation as Converse takes it: turns of blocks, and the system's words apart.

Four things differ from OpenAI. Turns alternate, so what one side says in several messages is
one turn, and the results of all calls of a turn stand together in the next. A call's input
is JSON, not text with JSON in it. Blocks of text must not be blank. And the model's thoughts
are blocks with a signature, which have to come back before the calls they led to.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
(2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import msgspec

from adapters import _bedrock_media as media
from proxy.adapter import Dropped, Target
from proxy.chat import FunctionCall, Message, Part, ToolCall
from proxy.errors import InvalidRequest

Block = dict[str, Any]

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BLOCKS = msgspec.json.Decoder(list[dict[str, Any]])
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_TTLS = frozenset({"5m", "1h"})
_IN_RESULTS = frozenset({"text", media.IMAGE, media.DOCUMENT, media.VIDEO})
_NO_OUTPUT = "(no output)"  # a result must not be blank


class Conversation:
    """What the messages of one request come to.

    Attributes:
        system: the blocks of the system's words, in their order.
        turns: Converse's `messages`.
        called: the names of all functions that were called.
        dropped: what of the messages is in neither.
    """

    def __init__(self, messages: Iterable[Message], target: Target) -> None:
        """Translate `messages`.

        Raises:
            InvalidRequest: a role nobody knows, or a file the service cannot take.
        """
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.called: dict[str, None] = {}
        self.dropped: list[Dropped] = []
        self._target = target
        self._names = media.Names()
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            add = _ROLES.get(message.role)
            if add is None:
                raise InvalidRequest(f"nobody has the role {message.role!r}", param=where)
            if message.name and message.role not in ("tool", "function"):
                self._drop(f"{where}.name", "turns have no names")
            add(self, message, where)

    @property
    def thoughtless(self) -> bool:
        """Whether the calls whose results come last were made without thoughts we know of."""
        if len(self.turns) < 2 or not any("toolResult" in b for b in self.turns[-1]["content"]):
            return False
        return "reasoningContent" not in self.turns[-2]["content"][0]

    def _system(self, message: Message, where: str) -> None:
        for index, part in enumerate(message.parts):
            if part.text is None:
                self._drop(f"{where}.content[{index}]", "the system's words are text alone")
                continue
            self.system += _text(part.text)
            self.system += cache_point(part.cache_control)
        self.system += cache_point(message.cache_control)

    def _user(self, message: Message, where: str) -> None:
        blocks: list[Block] = []
        for index, part in enumerate(message.parts):
            blocks += self._part(part, f"{where}.content[{index}]")
            blocks += cache_point(part.cache_control)
        self._turn("user", [*blocks, *cache_point(message.cache_control)])

    def _assistant(self, message: Message, where: str) -> None:
        calls = message.tool_calls or []
        blocks = self._thoughts(message, calls)
        for index, part in enumerate(message.parts):
            blocks += self._part(part, f"{where}.content[{index}]")
            blocks += cache_point(part.cache_control)
        if message.refusal:
            blocks += _text(message.refusal)
        for call in calls:
            self.called[call.function.name] = None
            blocks.append(_call(call.id, call.function))
        self._turn("assistant", [*blocks, *cache_point(message.cache_control)])

    def _result(self, message: Message, where: str) -> None:
        content: list[Block] = []
        for index, part in enumerate(message.parts):
            at = f"{where}.content[{index}]"
            for block in self._part(part, at):
                if block.keys() <= _IN_RESULTS:
                    content.append(block)
                else:
                    self._drop(at, "a tool's result holds text, images, documents and videos")
        result = {
            "toolUseId": tool_use_id(message.tool_call_id or message.name or ""),
            "content": content or [{"text": _NO_OUTPUT}],
        }
        self._turn("user", [{"toolResult": result}, *cache_point(message.cache_control)])

    def _turn(self, role: str, blocks: list[Block]) -> None:
        """Add a turn, or to the last one where the same side goes on."""
        if not blocks:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _part(self, part: Part, where: str) -> list[Block]:
        if (image := part.image_url or part.video_url) is not None:
            if image.detail not in (None, "auto"):
                self._drop(f"{where}.image_url.detail", "images have one resolution")
            block = media.from_url(image.url, where, self._target)
            if media.DOCUMENT in block:
                block[media.DOCUMENT]["name"] = self._names.take(None)
            return [block]
        if part.file is not None:
            return [media.from_file(part.file, where, self._target, self._names)]
        if part.input_audio is not None:
            audio = part.input_audio
            return [media.from_audio(audio.data, audio.format, where)]
        text = part.text or part.refusal
        if text is None and part.type not in ("text", "refusal"):
            self._drop(where, f"Converse has no content of type {part.type!r}")
        if text and part.type == "guarded_text":
            return [{"guardContent": {"text": {"text": text}}}]
        return _text(text)

    def _thoughts(self, message: Message, calls: list[ToolCall]) -> list[Block]:
        """Return the signed thoughts of a turn: as the client has them, else as we remember."""
        blocks = message.thinking_blocks
        if not blocks:
            remembered = (self._target.recall(call.id) for call in calls)
            blocks = next((_recalled(memory) for memory in remembered if memory), [])
        return [thought for block in blocks if (thought := _thought(block)) is not None]

    def _drop(self, name: str, reason: str) -> None:
        self.dropped.append(Dropped(name, reason))


_ROLES: dict[str, Callable[[Conversation, Message, str], None]] = {
    "system": Conversation._system,
    "developer": Conversation._system,
    "user": Conversation._user,
    "assistant": Conversation._assistant,
    "tool": Conversation._result,
    "function": Conversation._result,
}


def cache_point(control: dict[str, Any] | None) -> list[Block]:
    """Return what stands behind a part that ends a prefix to be cached."""
    if not control:
        return []
    ttl = control.get("ttl")
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl in _TTLS else {})}}]


def tool_use_id(call_id: str) -> str:
    """Return an id the service takes: the same one, unless another vendor made a longer one."""
    return call_id if _ID.fullmatch(call_id) else sha256(call_id.encode()).hexdigest()[:32]


def _text(text: str | None) -> list[Block]:
    return [{"text": text}] if text and not text.isspace() else []


def _call(call_id: str, function: FunctionCall) -> Block:
    arguments = function.arguments.strip() or "{}"
    try:
        _OBJECT.decode(arguments)
        given: Any = msgspec.Raw(arguments.encode())
    except (msgspec.MsgspecError, RecursionError):
        given = {"arguments": arguments}  # a model's slip must not end the conversation
    use = {"toolUseId": tool_use_id(call_id), "name": function.name, "input": given}
    return {"toolUse": use}


def _recalled(memory: bytes) -> list[dict[str, Any]]:
    """Read what was remembered for a call; another vendor's memory says nothing here."""
    try:
        return _BLOCKS.decode(memory)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def _thought(block: dict[str, Any]) -> Block | None:
    """Return a thinking block as it was sent to us; what nobody signed is not taken back."""
    if block.get("type") == "redacted_thinking" and block.get("data"):
        return {"reasoningContent": {"redactedContent": block["data"]}}
    if block.get("type") == "thinking" and block.get("signature"):
        thought = {"text": block.get("thinking") or "", "signature": block["signature"]}
        return {"reasoningContent": {"reasoningText": thought}}
    return None

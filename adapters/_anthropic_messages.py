"""A conversation in OpenAI's messages to one in Claude's: system, user and assistant turns.

Between two answers of the assistant everything the client said becomes one user turn, tool
results first. What stood in an earlier answer and OpenAI's message cannot hold (signed
thoughts, the vendor's own searches) is put back from memory where the client left it out.

Source: https://platform.claude.com/docs/en/api/messages,
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
(2026-11-21)
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from adapters import _anthropic_files as files
from adapters import _anthropic_memory as memory
from proxy.adapter import Dropped, Target
from proxy.chat import Message, Part, ToolCall
from proxy.errors import InvalidRequest
from proxy.wire import Request

_NATIVE = frozenset(
    {
        *("image", "document", "search_result", "tool_reference", "container_upload"),
        *("thinking", "redacted_thinking", "tool_use", "tool_result", "server_tool_use"),
        *("web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
        *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result"),
        *("tool_search_tool_result", "advisor_tool_result", "mcp_tool_use", "mcp_tool_result"),
        *("mcp_tool_listing", "compaction", "fallback", "tool_addition", "tool_removal"),
    }
)
"""Blocks of the vendor's own, which pass as the client sent them."""

_CLIENTS = frozenset({"image", "document", "search_result", "tool_result", "container_upload"})
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNCACHED = frozenset({"thinking", "redacted_thinking"})

Block = dict[str, Any]


class Conversation:
    """The messages of one request, translated.

    Attributes:
        system: what was said before anything else.
        messages: the turns.
        dropped: what of them the vendor does not get.
    """

    def __init__(self, request: Request, target: Target, *, late_system: bool) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self.dropped: list[Dropped] = []
        self._request = request
        self._target = target
        self._late_system = late_system
        self._begun = False
        self._user: list[Block] = []
        self._late: list[Block] = []

    def take(self, messages: list[Message]) -> None:
        """Translate all messages.

        Raises:
            InvalidRequest: a role that is none.
        """
        for index, message in enumerate(messages):
            turn = _ROLES.get(message.role)
            if turn is None:
                where = f"messages[{index}].role"
                raise InvalidRequest(f"no role is called {message.role!r}", param=where)
            if message.name and message.role != "tool":
                self._drop(f"messages[{index}].name", "turns have no names at this provider")
            turn(self, index, message)
        self._flush()
        if not self.messages and self.system:
            self.messages.append({"role": "user", "content": self.system})
            self.system = []
        self._trim()

    def calls_without_thoughts(self) -> bool:
        """Whether a tool loop is under way whose calls came back without their thinking."""
        last = [message for message in self.messages if message["role"] != "system"][-2:]
        if len(last) < 2 or last[0]["role"] != "assistant":
            return False
        kinds = [block["type"] for block in last[0]["content"]]
        return "tool_use" in kinds and kinds[0] not in _UNCACHED

    def called(self) -> list[str]:
        """Return the names of all tools that were called, each once."""
        names = dict.fromkeys(
            memory.name_of(block)
            for message in self.messages
            for block in message["content"]
            if block["type"] == "tool_use"
        )
        return [name for name in names if name]

    # One method for each role.

    def _take_system(self, index: int, message: Message) -> None:
        blocks = self._blocks(index, message, only_text=True)
        later = self._begun and self._late_system
        (self._late if later else self.system).extend(blocks)

    def _take_user(self, index: int, message: Message) -> None:
        self._begun = True
        self._user += self._blocks(index, message)

    def _take_tool(self, index: int, message: Message) -> None:
        self._begun = True
        result: Block = {
            "type": "tool_result",
            "tool_use_id": _id(message.tool_call_id or ""),
            "content": message.content
            if isinstance(message.content, str)
            else self._blocks(index, message),
        }
        if message.cache_control:
            result["cache_control"] = message.cache_control
        self._user.append(result)

    def _take_assistant(self, index: int, message: Message) -> None:
        self._flush()
        self._begun = True
        calls = message.tool_calls or []
        blocks = memory.restored(message, self._target.recall)
        if blocks is None:
            blocks = memory.thoughts(message, self._target.recall)
            blocks += self._blocks(index, message, only_text=True)
            blocks += [_tool_use(call) for call in calls]
            if message.refusal:
                blocks.append({"type": "text", "text": message.refusal})
        _cache(blocks, message)
        if self.messages and self.messages[-1]["role"] == "assistant":
            self.messages[-1]["content"] += blocks
        elif blocks:
            self.messages.append({"role": "assistant", "content": blocks})

    # What they have in common.

    def _blocks(self, index: int, message: Message, *, only_text: bool = False) -> list[Block]:
        """Translate the parts of a message; those that cannot be are named."""
        blocks: list[Block] = []
        for number, part in enumerate(message.parts):
            where = f"messages[{index}].content[{number}]"
            block = self._block(part, where, (index, number))
            if block is None:
                continue
            if only_text and block["type"] in _CLIENTS:
                self._drop(where, f"a {message.role} message is text at this provider")
                continue
            if part.cache_control:
                block["cache_control"] = part.cache_control
            blocks.append(block)
        if message.role not in ("tool", "assistant"):
            _cache(blocks, message)
        return blocks

    def _block(self, part: Part, where: str, place: tuple[int, int]) -> Block | None:
        if part.type in ("text", "refusal"):
            return _text(part.text or part.refusal or "")
        block = None
        if part.image_url is not None:
            block = files.image(part.image_url.url, self._target.media)
            if part.image_url.detail not in (None, "auto"):
                self._drop(f"{where}.image_url.detail", "images have no detail at this provider")
        elif part.file is not None:
            block = files.document(part.file, self._target.media)
        elif part.type in _NATIVE:
            block = self._native(*place)
        if block is None:
            self._drop(where, f"this provider does not take such {part.type} parts")
        return block

    def _native(self, index: int, number: int) -> Block:
        """Return a part as the client sent it: it is in the vendor's own form."""
        messages = self._request.get("messages", list[dict[str, Any]]) or []
        native: Block = messages[index]["content"][number]
        return native

    def _drop(self, name: str, reason: str) -> None:
        self.dropped.append(Dropped(name, reason))

    def _flush(self) -> None:
        """End the client's turn: what came since the last answer."""
        user, late = self._user, self._late
        self._user, self._late = [], []
        if late and not user:
            user, late = late, []
        if user:
            user.sort(key=lambda block: block["type"] != "tool_result")
            self.messages.append({"role": "user", "content": user})
        if late:
            self.messages.append({"role": "system", "content": late})

    def _trim(self) -> None:
        """An answer to be continued may not end in white space."""
        if self.messages and self.messages[-1]["role"] == "assistant":
            last = self.messages[-1]["content"][-1]
            if last["type"] == "text" and isinstance(last["text"], str):
                last["text"] = last["text"].rstrip()


_ROLES = {
    "system": Conversation._take_system,
    "developer": Conversation._take_system,
    "user": Conversation._take_user,
    "assistant": Conversation._take_assistant,
    "tool": Conversation._take_tool,
}


def _text(text: str) -> Block | None:
    """Return a block of text; the vendor refuses those without any."""
    return {"type": "text", "text": text} if text and not text.isspace() else None


def _tool_use(call: ToolCall) -> Block:
    return {
        "type": "tool_use",
        "id": _id(call.id),
        "name": call.function.name,
        "input": _input(call.function.arguments),
    }


def _input(arguments: str) -> Any:
    """Return arguments as the object they must be, every byte of it as it came."""
    if not arguments.strip():
        return {}
    text = arguments.encode("utf-8", "replace")
    try:
        _OBJECT.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return {"INVALID_JSON": arguments}  # the vendor's own word for it
    return msgspec.Raw(text)


def _id(call_id: str) -> str:
    """Return the id of a call as the vendor takes it, also one that another vendor gave."""
    return _FOREIGN.sub("_", call_id)


def _cache(blocks: list[Block], message: Message) -> None:
    """Mark the last block that can be marked, where the whole message is to be cached."""
    if message.cache_control:
        for block in reversed(blocks):
            if block["type"] not in _UNCACHED:
                block["cache_control"] = message.cache_control
                return

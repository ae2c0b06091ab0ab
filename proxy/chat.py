"""Chat, typed: what adapters that translate read of a request and write into an answer.

Requests are views: members nobody here names stay in the request and are reported by
`unsupported`. Chunks are built from parts that are encoded once a stream.

Source: https://platform.openai.com/docs/api-reference/chat (2026-11-21); `reasoning_content`
and `thinking_blocks` are what DeepSeek's and LiteLLM's clients have made customary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from proxy.adapter import Dropped
from proxy.wire import Chunk, Request, Response, Usage

DONE = b"data: [DONE]\n\n"
"""What ends a stream of chunks."""

_encode = msgspec.json.encode


class ImageUrl(msgspec.Struct):
    """An image by `https:` or `data:` URL."""

    url: str
    detail: str | None = None


class InputAudio(msgspec.Struct):
    """Audio as base64; `format` is "wav", "mp3", ..."""

    data: str
    format: str


class File(msgspec.Struct):
    """A document: `file_data` is a `data:` URL or base64, `file_id` the vendor's."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """One part of a message's content; `type` tells which member it has."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | None = None
    video_url: ImageUrl | None = None
    input_audio: InputAudio | None = None
    file: File | None = None
    cache_control: dict[str, Any] | None = None


class FunctionCall(msgspec.Struct):
    """A call the model wants made; `arguments` is JSON text."""

    name: str
    arguments: str = ""


class ToolCall(msgspec.Struct):
    """A call under the id that its result will name."""

    id: str
    function: FunctionCall
    type: str = "function"


class Message(msgspec.Struct):
    """One turn of the conversation.

    Attributes:
        reasoning_content, reasoning: the model's thoughts as text, under either name.
        thinking_blocks: the same with the vendor's signatures, to be sent back unchanged.
    """

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    cache_control: dict[str, Any] | None = None

    @property
    def parts(self) -> list[Part]:
        """Its content as parts, also where it is plain text."""
        if isinstance(self.content, str):
            return [Part("text", text=self.content)] if self.content else []
        return self.content or []

    @property
    def text(self) -> str:
        """All its text, refusals included."""
        return "".join(part.text or part.refusal or "" for part in self.parts)


class Function(msgspec.Struct):
    """A function the model may call; `parameters` is JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct):
    """A tool; those without `function` are the vendor's own."""

    type: str
    function: Function | None = None
    cache_control: dict[str, Any] | None = None


class JsonSchema(msgspec.Struct):
    """The schema an answer must satisfy."""

    name: str
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """`text`, `json_object`, or `json_schema` with the schema."""

    type: str
    json_schema: JsonSchema | None = None


class ChatRequest(msgspec.Struct):
    """View of a chat request: the members that some vendor takes in some form."""

    model: str
    messages: list[Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None

    @property
    def limit_tokens(self) -> int | None:
        """The most tokens of an answer, by the newer name or the older."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """The texts that end an answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wanted_tool(self) -> str | None:
        """The function that `tool_choice` insists on, if it names one."""
        choice = self.tool_choice
        if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
            return str(choice["function"].get("name", ""))
        return None


_SILENT = frozenset({"model", "messages", "stream", "stream_options", "user", "store"})


def unsupported(request: Request, known: Iterable[str], reason: str) -> list[Dropped]:
    """Return the members of `request` that nobody has translated.

    Args:
        request: as the client sent it.
        known: the members that the vendor takes in some form.
        reason: said of each, such as "not supported by this model's API".
    """
    taken = _SILENT.union(known)
    names = [name for name in request.names() if name not in taken]
    return [Dropped(name, reason) for name in names if request.raw(name) not in (b"null", b"{}")]


def usage_document(usage: Usage) -> dict[str, Any]:
    """Return OpenAI's `usage`; what we know and OpenAI has no name for stands beside it."""
    document: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
        },
    }
    written = usage.cache_write_tokens
    if written:
        document["prompt_tokens_details"]["cache_write_tokens"] = written
    return document


class Reply(msgspec.Struct):
    """What a vendor's whole answer comes to.

    Attributes:
        finish_reason: OpenAI's word for it.
        reasoning: the thoughts as text.
        thinking_blocks: the same as the vendor wants them back.
        memory: see `proxy.wire.Response.memory`.
        audio: OpenAI's member of that name.
        logprobs: the choice's, in OpenAI's form.
    """

    finish_reason: str
    text: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    thinking_blocks: Sequence[dict[str, Any]] = ()
    tool_calls: Sequence[ToolCall] = ()
    annotations: Sequence[dict[str, Any]] = ()
    images: Sequence[dict[str, Any]] = ()
    memory: dict[str, bytes] = {}
    audio: dict[str, Any] | None = None
    logprobs: dict[str, Any] | None = None

    def message(self) -> dict[str, Any]:
        """Return OpenAI's message."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text,
            "refusal": self.refusal,
        }
        optional: dict[str, Any] = {
            "reasoning_content": self.reasoning,
            "thinking_blocks": list(self.thinking_blocks),
            "tool_calls": [msgspec.to_builtins(call) for call in self.tool_calls],
            "annotations": list(self.annotations),
            "images": list(self.images),
            "audio": self.audio,
        }
        return message | {name: value for name, value in optional.items() if value}


def completion(
    answer_id: str, model: str, created: int, replies: Sequence[Reply], usage: Usage | None
) -> Response:
    """Return a `chat.completion` with a choice for each reply; `created` is Unix seconds."""
    document: dict[str, Any] = {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": reply.message(),
                "logprobs": reply.logprobs,
                "finish_reason": reply.finish_reason,
            }
            for index, reply in enumerate(replies)
        ],
    }
    if usage is not None:
        document["usage"] = usage_document(usage)
    memory = {key: value for reply in replies for key, value in reply.memory.items()}
    return Response(_encode(document), usage, memory=memory)


class Chunks:
    """Writes the chunks of one stream; what all of them share is encoded once."""

    __slots__ = ("_head",)

    def __init__(self, answer_id: str, model: str, created: int) -> None:
        shared = _encode(
            {
                "id": answer_id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": model,
            }
        )
        self._head = shared[:-1] + b',"choices":['

    def role(self, index: int = 0) -> Chunk:
        """The first chunk of a choice, without content yet."""
        return self._chunk(b'{"role":"assistant","content":""}', index, content=False)

    def text(self, piece: str, index: int = 0) -> Chunk:
        """A piece of the answer's text."""
        return self._chunk(b'{"content":%b}' % _encode(piece), index)

    def reasoning(self, piece: str, index: int = 0) -> Chunk:
        """A piece of the model's thoughts."""
        return self._chunk(b'{"reasoning_content":%b}' % _encode(piece), index)

    def refusal(self, piece: str, index: int = 0) -> Chunk:
        """A piece of a refusal."""
        return self._chunk(b'{"refusal":%b}' % _encode(piece), index)

    def call(self, number: int, call_id: str, name: str, index: int = 0) -> Chunk:
        """The beginning of the tool call `number` of this message."""
        function = {"name": name, "arguments": ""}
        call = {"index": number, "id": call_id, "type": "function", "function": function}
        return self._chunk(_encode({"tool_calls": [call]}), index)

    def arguments(self, number: int, piece: str, index: int = 0) -> Chunk:
        """A piece of the arguments' JSON text of the tool call `number`."""
        delta = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
        return self._chunk(delta % (number, _encode(piece)), index)

    def delta(self, members: dict[str, Any], index: int = 0) -> Chunk:
        """Whatever else a message may hold: thinking blocks, annotations, images."""
        return self._chunk(_encode(members), index)

    def logprobs(self, document: dict[str, Any], index: int = 0) -> Chunk:
        """How likely the tokens so far were, in OpenAI's form."""
        data = b'%b{"index":%d,"delta":{},"logprobs":%b,"finish_reason":null}]}'
        return Chunk(data % (self._head, index, _encode(document)))

    def finish(self, reason: str, index: int = 0) -> Chunk:
        """The end of a choice, with OpenAI's reason."""
        return Chunk(
            b'%b{"index":%d,"delta":{},"logprobs":null,"finish_reason":%b}]}'
            % (self._head, index, _encode(reason))
        )

    def usage(self, usage: Usage) -> Chunk:
        """The last chunk: usage, and nothing else."""
        data = b'%b],"usage":%b}' % (self._head, _encode(usage_document(usage)))
        return Chunk(data, content=False, usage_only=True)

    def _chunk(self, delta: bytes, index: int, *, content: bool = True) -> Chunk:
        data = b'%b{"index":%d,"delta":%b,"logprobs":null,"finish_reason":null}]}'
        return Chunk(data % (self._head, index, delta), content=content)

"""Text completions: OpenAI's older operation, and what fill-in-the-middle is asked by.

The text between `prompt` and `suffix` comes back as `text_completion` objects, whole or one for
each piece. Both have the same shape; the pieces of one stream share a head that is encoded once.

Source: https://platform.openai.com/docs/api-reference/completions (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from proxy.adapter import Dropped
from proxy.chat import unsupported, usage_document
from proxy.errors import InvalidRequest
from proxy.wire import Chunk, Request, Response, Usage

_encode = msgspec.json.encode
_PROMPT: Any = str | list[str]
_NEUTRAL = {
    "best_of": (b"1",),
    "echo": (b"false",),
    "frequency_penalty": (b"0", b"0.0"),
    "n": (b"1",),
    "presence_penalty": (b"0", b"0.0"),
}
"""What asks for nothing that would not happen anyway."""


def prompt(request: Request) -> str:
    """Return the one text to complete.

    Raises:
        InvalidRequest: it is missing, is several, or is tokens, which only their model can read.
    """
    try:
        found = request.get("prompt", _PROMPT)
    except InvalidRequest:
        raise InvalidRequest("`prompt` must be a text", param="prompt") from None
    if found is None:
        raise InvalidRequest("`prompt` is missing", param="prompt")
    if isinstance(found, str):
        return found
    if len(found) != 1:
        raise InvalidRequest("this provider completes one prompt at a time", param="prompt")
    return str(found[0])


def lost(request: Request, known: Iterable[str], reason: str) -> list[Dropped]:
    """Return the members that a vendor does not get; see `proxy.chat.unsupported`."""
    found = unsupported(request, {"prompt", *known}, reason)
    return [each for each in found if request.raw(each.name) not in _NEUTRAL.get(each.name, ())]


class Choice(NamedTuple):
    """One completion of the prompt.

    Attributes:
        finish_reason: OpenAI's word for it: "stop", "length" or "content_filter".
        logprobs: how likely its tokens were, in OpenAI's older form.
    """

    text: str
    finish_reason: str
    logprobs: dict[str, Any] | None = None


def completion(
    answer_id: str, model: str, created: int, choices: Sequence[Choice], usage: Usage | None
) -> Response:
    """Return a `text_completion`; `created` is Unix seconds."""
    document: dict[str, Any] = {
        **_head(answer_id, model, created),
        "choices": [{"index": index, **each._asdict()} for index, each in enumerate(choices)],
    }
    if usage is not None:
        document["usage"] = usage_document(usage)
    return Response(_encode(document), usage)


def _head(answer_id: str, model: str, created: int) -> dict[str, Any]:
    return {"id": answer_id, "object": "text_completion", "created": created, "model": model}


class Pieces:
    """Writes the chunks of one stream."""

    __slots__ = ("_head",)

    def __init__(self, answer_id: str, model: str, created: int) -> None:
        self._head = _encode(_head(answer_id, model, created))[:-1] + b',"choices":['

    def text(self, piece: str, index: int = 0, logprobs: dict[str, Any] | None = None) -> Chunk:
        """A piece of a choice's text, and how likely its tokens were."""
        data = b'%b{"index":%d,"text":%b,"logprobs":%b,"finish_reason":null}]}'
        return Chunk(data % (self._head, index, _encode(piece), _encode(logprobs)))

    def finish(self, reason: str, index: int = 0) -> Chunk:
        """The end of a choice, with OpenAI's reason."""
        data = b'%b{"index":%d,"text":"","logprobs":null,"finish_reason":%b}]}'
        return Chunk(data % (self._head, index, _encode(reason)))

    def usage(self, usage: Usage) -> Chunk:
        """The last chunk: usage, and nothing else."""
        data = b'%b],"usage":%b}' % (self._head, _encode(usage_document(usage)))
        return Chunk(data, content=False, usage_only=True)

"""Mistral's fill-in-the-middle as OpenAI's completions with a `suffix`.

The vendor answers with chat completions; what they say is the text between. Keys of Codestral's
own host go with the base URL "https://codestral.mistral.ai/v1".

Source: https://docs.mistral.ai/api/endpoint/fim (2026-11-21) and mistralai 3.7.0,
client/models/fimcompletionrequest.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters._mistral_wire import Choice, Message, answer
from adapters._turns import Losses
from proxy import completions
from proxy.adapter import Target, UpstreamResponse
from proxy.chat import DONE
from proxy.completions import Pieces
from proxy.errors import UpstreamFailed, UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Chunk, Request, Response, Usage

_FINISH_REASONS = MappingProxyType(
    {"length": "length", "model_length": "length", "content_filter": "content_filter"}
)
_MEMBERS = MappingProxyType(
    {
        "suffix": "suffix",
        "max_tokens": "max_tokens",
        "temperature": "temperature",
        "top_p": "top_p",
        "stop": "stop",
        "seed": "random_seed",
        # Mistral's own
        "random_seed": "random_seed",
        "min_tokens": "min_tokens",
        "metadata": "metadata",
        "prompt_cache_key": "prompt_cache_key",
    }
)
_END = b"[DONE]"


def body(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent; what is not goes to `losses`.

    Raises:
        InvalidRequest: there is not one prompt.
    """
    reason = "not a parameter of Mistral's fill-in-the-middle"
    losses.found += completions.lost(request, _MEMBERS, reason)
    sent: dict[str, Any] = {
        "model": target.model,
        "prompt": completions.prompt(request),
        "stream": request.stream,
    }
    for name, theirs in _MEMBERS.items():
        value = request.raw(name)
        if value is not None and value != b"null":
            sent[theirs] = msgspec.Raw(value)
    return sent


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = answer(response.body)
    usage = found.usage.normal() if found.usage else None
    choices = [
        completions.Choice(_text(choice.message), _finish(choice)) for choice in found.choices or ()
    ]
    return completions.completion(found.id, found.model, found.created or created, choices, usage)


def _text(message: Message | None) -> str:
    content = message.content if message else None
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _finish(choice: Choice) -> str:
    """Return OpenAI's reason.

    Raises:
        UpstreamFailed: the vendor gave up.
    """
    if choice.finish_reason == "error":
        raise UpstreamFailed("the provider's model failed")
    return _FINISH_REASONS.get(choice.finish_reason or "", "stop")


class Stream:
    """Chunks of chat whose text is the completion's; `[DONE]` ends them."""

    __slots__ = ("_created", "_pieces", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._created = created
        self._pieces: Pieces | None = None

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event cannot be read.
            UpstreamError: it is an error.
        """
        data = event.data
        if not data or self.ended:
            return ()
        if data == _END:
            self.ended = True
            if self.usage is None or self._pieces is None:
                return ()
            return (self._pieces.usage(self.usage),)
        found = answer(data)
        if self._pieces is None:
            self._pieces = Pieces(found.id, found.model, found.created or self._created)
        if found.usage is not None:
            self.usage = found.usage.normal()
        pieces = self._pieces
        return [chunk for choice in found.choices or () for chunk in _chunks(choice, pieces)]

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `[DONE]` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()


def _chunks(choice: Choice, pieces: Pieces) -> Iterator[Chunk]:
    if text := _text(choice.delta):
        yield pieces.text(text, choice.index)
    if choice.finish_reason is not None:
        yield pieces.finish(_finish(choice), choice.index)

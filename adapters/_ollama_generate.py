"""Ollama's `/api/generate` as OpenAI's completions, with a `suffix` or without.

Source: https://docs.ollama.com/api/generate (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters._ollama_request import OPTIONS, OURS, model_options
from adapters._ollama_wire import Likelihood, Line, failed, read
from adapters._turns import Losses
from proxy import completions
from proxy.adapter import Target, UpstreamResponse
from proxy.chat import DONE
from proxy.completions import Choice, Pieces
from proxy.errors import UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Chunk, Request, Response, Usage

_FINISH_REASONS: Mapping[str, str] = MappingProxyType({"length": "length"})
_SAME = (
    *("suffix", "raw", "system", "template", "format", "images", "context", "think"),
    *("keep_alive", "truncate", "shift", "top_logprobs"),
)
"""Members that both know, and those of the vendor's own."""


class _Generated(Line):
    """A line of a stream, or a whole answer; thoughts are no part of the text."""

    response: str | None = None


_GENERATED = msgspec.json.Decoder(_Generated)


def body(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent; what is not goes to `losses`.

    Raises:
        InvalidRequest: there is not one prompt.
    """
    known = (*_SAME, *OPTIONS, "logprobs", "options")
    losses.found += completions.lost(request, known, "not a parameter of Ollama's generate API")
    sent: dict[str, Any] = {
        "model": target.model,
        "prompt": completions.prompt(request),
        "stream": request.stream,
        **{name: target.options[name] for name in OURS if name in target.options},
        **_likelihoods(request),
    }
    for name in _SAME:
        value = request.raw(name)
        if value is not None and value != b"null":
            sent[name] = msgspec.Raw(value)
    options = model_options(request, target)
    if options:
        sent["options"] = options
    return sent


def _likelihoods(request: Request) -> dict[str, Any]:
    """Return the wish for likelihoods: OpenAI's number says of how many other tokens."""
    wanted = request.get("logprobs", object)
    if isinstance(wanted, bool) or not isinstance(wanted, int):
        return {"logprobs": True} if wanted else {}
    return {"logprobs": True, "top_logprobs": wanted}


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamTruncated: it is not done.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _GENERATED)
    if found.error is not None:
        raise failed(found.error, found.status_code)
    if not found.done:
        raise UpstreamTruncated("the provider's answer is not done")
    likely = _tokens(found.logprobs, 0)[0] if found.logprobs else None
    choice = Choice(found.response or "", _finish(found), likely)
    return completions.completion(_id(found), found.model, created, [choice], found.usage())


def _finish(line: Line) -> str:
    return _FINISH_REASONS.get(line.done_reason or "", "stop")


def _id(line: Line) -> str:
    return line.answer_id().replace("chatcmpl-", "cmpl-")


def _tokens(given: Sequence[Likelihood], start: int) -> tuple[dict[str, Any], int]:
    """Return likelihoods in OpenAI's older form, and where the next token begins in the text."""
    offsets = []
    for each in given:
        offsets.append(start)
        start += len(each.token)
    found = {
        "tokens": [each.token for each in given],
        "token_logprobs": [each.logprob for each in given],
        "top_logprobs": [
            {top.token: top.logprob for top in each.top_logprobs or ()} for each in given
        ],
        "text_offset": offsets,
    }
    return found, start


class Stream:
    """A line per piece; `done` ends them."""

    __slots__ = ("_created", "_length", "_pieces", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._created = created
        self._pieces: Pieces | None = None
        self._length = 0  # of the tokens so far whose likelihoods came

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one line and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the line cannot be read.
            UpstreamError: it is an error.
        """
        if not event.data or self.ended:
            return ()
        line = read(event.data, _GENERATED)
        if line.error is not None:
            raise failed(line.error, line.status_code)
        if self._pieces is None:
            self._pieces = Pieces(_id(line), line.model, self._created)
        return list(self._chunks(line, self._pieces))

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: no line said that it is done.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _chunks(self, line: _Generated, pieces: Pieces) -> Iterator[Chunk]:
        if line.response or line.logprobs:
            likely = None
            if line.logprobs:
                likely, self._length = _tokens(line.logprobs, self._length)
            yield pieces.text(line.response or "", 0, likely)
        if line.done:
            yield pieces.finish(_finish(line))
            self.usage, self.ended = line.usage(), True
            if self.usage is not None:
                yield pieces.usage(self.usage)

"""Mistral's moderation as OpenAI's: other categories, and no verdict over all of them.

Source: https://docs.mistral.ai/capabilities/guardrailing (2026-11-21)
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import msgspec

from adapters._mistral_errors import reported
from adapters._mistral_wire import Reported, read
from adapters._turns import Losses
from proxy.adapter import Target, UpstreamResponse
from proxy.chat import unsupported
from proxy.wire import Request, Response

CATEGORIES = MappingProxyType(
    {
        "sexual": "sexual",
        "hate_and_discrimination": "hate",
        "violence_and_threats": "violence",
        "dangerous_and_criminal_content": "illicit",
        "dangerous": "illicit",
        "criminal": "illicit",
        "selfharm": "self-harm",
    }
)
"""Mistral's categories of moderation to OpenAI's; those without a like keep their names."""

_OPENAI_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def body(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent: texts. A list of parts is one text, as OpenAI reads it.

    Raises:
        InvalidRequest: `input` has another form.
    """
    losses.found += unsupported(request, {"input"}, "not a parameter of Mistral's moderation API")
    given = request.get("input", object)
    parts = [part for part in given if isinstance(part, dict)] if isinstance(given, list) else []
    if parts:
        given = "\n".join(str(part["text"]) for part in parts if part.get("text"))
    if any(part.get("type") == "image_url" for part in parts):
        losses.add("input[].image_url", "Mistral moderates text only")
    return {"model": target.model, "input": given}


class _Judgement(msgspec.Struct):
    categories: dict[str, bool] = {}
    category_scores: dict[str, float] = {}


class _Judgements(msgspec.Struct):
    results: list[_Judgement] | None = None
    id: str = ""
    model: str = ""
    usage: Reported | None = None


_JUDGEMENTS = msgspec.json.Decoder(_Judgements)


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate moderation; a category that Mistral has not looked at says so.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _JUDGEMENTS)
    if found.results is None:
        raise reported(response.body)
    results = [_judgement(result) for result in found.results]
    document = {"id": found.id, "model": found.model, "results": results}
    usage = found.usage.normal() if found.usage else None
    return Response(msgspec.json.encode(document), usage)


def _judgement(given: _Judgement) -> dict[str, Any]:
    flags: dict[str, bool] = dict.fromkeys(_OPENAI_CATEGORIES, False)
    scores: dict[str, float] = dict.fromkeys(_OPENAI_CATEGORIES, 0.0)
    looked_at: dict[str, list[str]] = {name: [] for name in _OPENAI_CATEGORIES}
    for theirs, score in given.category_scores.items():
        ours = CATEGORIES.get(theirs, theirs)
        scores[ours] = max(score, scores.get(ours, 0.0))
        flags[ours] = flags.get(ours, False) or given.categories.get(theirs, False)
        looked_at[ours] = ["text"]
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": looked_at,
    }

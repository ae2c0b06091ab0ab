"""What the models behind Converse take beyond what all of them take.

Converse is one form for many makers' models, and refuses what the model at hand does not
know. An inference profile's ARN may hide the model; then nothing special is sent, and a
deployment says what it needs by `extra_body`.

Sources (2026-11-21): https://docs.aws.amazon.com/bedrock/latest/userguide/
claude-messages-adaptive-thinking.html, claude-messages-extended-thinking.html and
structured-output.html; https://docs.aws.amazon.com/nova/latest/nova2-userguide/
extended-thinking.html; what 4.7 refuses: https://openrouter.ai/docs/guides/
evaluate-and-optimize/model-migrations/claude-4-7; one call at a time:
https://github.com/BerriAI/litellm/pull/34347
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

CLAUDE, NOVA, NOVA_2, GPT_OSS, OTHER = "claude", "nova", "nova-2", "gpt-oss", ""

_FAMILIES = (
    (CLAUDE, re.compile(r"\bclaude-")),
    (NOVA_2, re.compile(r"\bnova-2-")),
    (NOVA, re.compile(r"\bnova-")),
    (GPT_OSS, re.compile(r"\bgpt-oss-")),
)
_SCHEMALESS = re.compile(r"\b(nova-|titan-|meta\.llama|cohere\.command|ai21\.|jamba)")
# "claude-sonnet-4-5-20250929", "claude-3-7-sonnet", "claude-sonnet-5"; dates are no versions.
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_NEWEST = (99, 0)
_PROFILE = re.compile(r"^(?:global|us-gov|us|eu|apac|jp|au|ca|in)\.")

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
"""Tokens to think by OpenAI's `reasoning_effort`, for models that want a number."""
_LEAST_BUDGET = 1024
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
_THREE = {**_EFFORTS, "xhigh": "high"}


class Thinking(NamedTuple):
    """How a model is told to think.

    Attributes:
        fields: for `additionalModelRequestFields`.
        effort: for `outputConfig.effort`.
    """

    fields: dict[str, Any]
    effort: str | None = None


class Model(NamedTuple):
    """What is known of a model by its name.

    Attributes:
        version: (4, 5) of "claude-sonnet-4-5"; of others (0, 0).
    """

    name: str
    family: str
    version: tuple[int, int]

    @property
    def budgeted(self) -> bool:
        """Whether it thinks for so many tokens, rather than as much as it sees fit."""
        return self.family == CLAUDE and (3, 7) <= self.version < (4, 6)

    @property
    def samples(self) -> bool:
        """Whether it takes temperature, top_p and top_k at all."""
        return not (self.family == CLAUDE and self.version >= (4, 7))

    @property
    def one_sampler(self) -> bool:
        """Whether it refuses temperature and top_p together."""
        return self.family == CLAUDE and self.version >= (4, 1)

    @property
    def schemas(self) -> bool:
        """Whether its answers can be held to a JSON schema."""
        if self.family == CLAUDE:
            return self.version >= (4, 5)
        return _SCHEMALESS.search(self.name) is None

    @property
    def strict_tools(self) -> bool:
        """Whether its calls can be held to their schemas."""
        return self.family == CLAUDE and self.version >= (4, 5)

    def top_k(self, value: int) -> dict[str, Any] | None:
        """Return the field that says `top_k`, or None where no such field is known."""
        if self.family == CLAUDE:
            return {"top_k": value}
        return {"inferenceConfig": {"topK": value}} if self.family in (NOVA, NOVA_2) else None

    def thinking(self, effort: str, limit_tokens: int | None) -> Thinking | str:
        """Return how to say a `reasoning_effort`, or why it cannot be said.

        Args:
            effort: OpenAI's, but not "none".
            limit_tokens: the most tokens of the answer, which the thoughts are part of.
        """
        if effort not in _EFFORTS:
            return f"there is no effort {effort!r}"
        if self.family == CLAUDE:
            return self._claude(effort, limit_tokens)
        if self.family == NOVA_2:
            config = {"type": "enabled", "maxReasoningEffort": _THREE[effort]}
            return Thinking({"reasoningConfig": config})
        if self.family == GPT_OSS:
            return Thinking({"reasoning_effort": _THREE[effort]})
        return "how this model takes it is not known"

    def _claude(self, effort: str, limit_tokens: int | None) -> Thinking | str:
        if self.version < (3, 7):
            return "this model does not think aloud"
        if not self.budgeted:
            thinking = {"type": "adaptive"}
            if self.version >= (4, 7):
                thinking["display"] = "summarized"  # without it the thoughts come empty
            return Thinking({"thinking": thinking}, _EFFORTS[effort])
        budget = BUDGETS[effort]
        if limit_tokens is not None:
            budget = min(budget, limit_tokens - 1)
        if budget < _LEAST_BUDGET:
            return f"it needs more than {_LEAST_BUDGET} tokens of max_completion_tokens"
        return Thinking({"thinking": {"type": "enabled", "budget_tokens": budget}})


def base(name: str) -> str:
    """Return the model behind an inference profile's id: counts are of models alone.

    "us.anthropic.claude-sonnet-4-5" is answered with 400, "anthropic.claude-sonnet-4-5" is not.

    Source: https://github.com/pydantic/pydantic-ai/pull/3367 (2026-11-21)
    """
    return _PROFILE.sub("", name)


def model(name: str) -> Model:
    """Return what a model id or ARN says of the model."""
    lower = name.lower()
    family = next((family for family, found in _FAMILIES if found.search(lower)), OTHER)
    if family != CLAUDE:
        return Model(lower, family, (0, 0))
    found = _VERSION.search(lower)
    if found is None:
        # The first of them had no number behind the name, or "v2"; what comes next may not.
        old = re.search(r"claude-(instant|v\d)", lower)
        return Model(lower, family, (2, 0) if old else _NEWEST)
    return Model(lower, family, (int(found[1]), int(found[2] or 0)))

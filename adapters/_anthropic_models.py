"""What each generation of Claude takes, by the model's name.

The API is one, but its models differ in what they refuse: budgets for thinking, sampling,
forced tools. A request that one generation needs is a 400 on the next, so these rows decide
what is sent. Names are read loosely: those of Bedrock and Vertex have the same middle.

Source: https://platform.claude.com/docs/en/about-claude/models/overview,
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting,
https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5 and its siblings,
`GET /v1/models` (2026-11-21)
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Family = Literal["opus", "sonnet", "haiku", "fable"]
Version = tuple[int, int]


class Traits(NamedTuple):
    """What one model takes.

    Attributes:
        max_tokens: the longest answer, thinking included.
        thinking: how it is asked for: a budget of tokens, or as the model sees fit.
        off: the `thinking.type` that turns it off; empty: leaving it out; None: nothing does.
        efforts: the levels of `output_config.effort`.
        sampling: whether temperature and top_p are taken together, one at a time, not at all.
        forced_tools: whether a call can be insisted on.
        schemas: whether answers and calls can be bound to a schema.
        late_system: whether a system message may stand after others.
    """

    max_tokens: int
    thinking: Literal["none", "budget", "adaptive"]
    off: str | None = ""
    efforts: tuple[str, ...] = ()
    sampling: Literal["both", "one", "none"] = "none"
    forced_tools: bool = True
    schemas: bool = True
    late_system: bool = False


_THREE = ("low", "medium", "high")
_FOUR = (*_THREE, "max")
_FIVE = (*_THREE, "xhigh", "max")
_LONG = 128_000

_CLAUDE_3 = Traits(4_096, "none", sampling="both", schemas=False)
_CLAUDE_4 = Traits(64_000, "budget", sampling="both", schemas=False)
_CLAUDE_4_5 = Traits(64_000, "budget", sampling="one")
_CLAUDE_4_6 = Traits(_LONG, "adaptive", efforts=_FOUR, sampling="one")
_CLAUDE_4_7 = Traits(_LONG, "adaptive", efforts=_FIVE)
_CLAUDE_5 = Traits(_LONG, "adaptive", "disabled", _FIVE, late_system=True)
_ALWAYS = _CLAUDE_5._replace(off=None)

_TRAITS: dict[tuple[Family, Version], Traits] = {
    ("haiku", (3, 0)): _CLAUDE_3,
    ("haiku", (3, 5)): _CLAUDE_3._replace(max_tokens=8_192),
    ("haiku", (4, 5)): _CLAUDE_4_5,
    ("haiku", (5, 5)): _CLAUDE_5,
    ("sonnet", (3, 0)): _CLAUDE_3,
    ("sonnet", (3, 5)): _CLAUDE_3._replace(max_tokens=8_192),
    ("sonnet", (3, 7)): _CLAUDE_4,
    ("sonnet", (4, 0)): _CLAUDE_4,
    ("sonnet", (4, 5)): _CLAUDE_4_5,
    ("sonnet", (4, 6)): _CLAUDE_4_6,
    ("sonnet", (5, 0)): _CLAUDE_5._replace(late_system=False),
    ("sonnet", (5, 5)): _CLAUDE_5._replace(off="between_tools", forced_tools=False),
    ("opus", (3, 0)): _CLAUDE_3,
    ("opus", (4, 0)): _CLAUDE_4._replace(max_tokens=32_000),
    ("opus", (4, 1)): _CLAUDE_4_5._replace(max_tokens=32_000),
    ("opus", (4, 5)): _CLAUDE_4_5._replace(efforts=_THREE),
    ("opus", (4, 6)): _CLAUDE_4_6,
    ("opus", (4, 7)): _CLAUDE_4_7,
    ("opus", (4, 8)): _CLAUDE_4_7._replace(late_system=True),
    ("opus", (5, 0)): _CLAUDE_5,
    ("opus", (5, 5)): _ALWAYS._replace(forced_tools=False),
    ("fable", (5, 0)): _ALWAYS,
    ("fable", (5, 1)): _ALWAYS._replace(forced_tools=False),
}
"""A version that is not here is as the one before it. Mythos is Fable without its filters."""

_UNKNOWN = Traits(32_000, "adaptive", efforts=_THREE, sampling="both")
"""For a name that says nothing, such as an alias: what most models take."""

_NAME = re.compile(
    r"claude-(?:(opus|sonnet|haiku|fable|mythos)-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)"
    r"(?:-(opus|sonnet|haiku))?",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)
def traits(model: str) -> Traits:
    """Return what a model takes: "claude-opus-5-5", "us.anthropic.claude-opus-4-8-v1:0"."""
    found = _NAME.search(model)
    if found is None:
        return _UNKNOWN
    before, major, minor, behind = found.groups()
    family = (before or behind or "").lower().replace("mythos", "fable")
    version = (int(major), int(minor or 0))
    older = [key for key in _TRAITS if key[0] == family and key[1] <= version]
    return _TRAITS[max(older)] if older else _UNKNOWN

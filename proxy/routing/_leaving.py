"""When it pays to leave the deployment that has a conversation's prompt in its cache.

Staying is worth the money and the time that reading the prompt anew would take elsewhere:
fresh tokens instead of cached ones, by both prices, and the prompt's length by how fast
prompts are read. Leaving is worth the time by which the first token comes sooner. Money is
turned into time by what a second of waiting is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.config.units import parse_duration, parse_money
from proxy.deployments import Price

_MICROS = 1_000_000
_LEAST_CACHED_TOKENS = 1024
"""Vendors keep no shorter prompts.

Source: https://developers.openai.com/api/docs/guides/prompt-caching,
https://docs.litellm.ai/docs/completion/prompt_caching (2026-11-26)
"""


class Leave(NamedTuple):
    """What waiting is worth, and how much of a difference counts.

    Attributes:
        micros_per_second: what a second of waiting costs, in millionths of a dollar.
        tokens_per_second: how fast a fresh prompt is read.
        load: so many times the other's load for its weight is still no reason to leave.
        least_s: nobody leaves for less, in seconds.
    """

    micros_per_second: float = 10_000.0
    tokens_per_second: float = 10_000.0
    load: float = 2.0
    least_s: float = 0.25


class Outlook(NamedTuple):
    """What a call may expect of a deployment.

    Attributes:
        first_s: what the first token takes, in seconds; 0: not known.
        wait_s: for a worker, in seconds.
        load: calls in flight and waiting, this one too, for its weight.
    """

    first_s: float
    wait_s: float
    load: float


_UNKNOWN_S = 1.0  # what a first token takes where nothing is known of either


def stays(here: Outlook, there: Outlook, saved_s: float, spare: float) -> bool:
    """Whether a conversation stays where it is, rather than go where another one offers.

    Where more than `spare` times as much is under way as there, the first token is taken to
    come later in proportion. Of a deployment not measured yet it is taken for as fast.

    Args:
        here: where its prompt is, or where it belongs.
        there: another deployment.
        saved_s: what staying is worth, in seconds.
        spare: how much more load counts as none.
    """
    here_s = here.first_s or there.first_s or _UNKNOWN_S
    there_s = there.first_s or here_s
    crowd = here.load / (there.load * spare)
    if crowd > 1:
        here_s *= crowd
    return here.wait_s + here_s - there.wait_s - there_s <= saved_s


def saved_s(tokens: int, here: Price | None, there: Price | None, leave: Leave) -> float:
    """Return what staying is worth, in seconds.

    Args:
        tokens: of the prompt that are in the cache.
        here: the price where they are; None: not known, and no money is counted.
        there: the price elsewhere; None: as here.
        leave: what seconds are worth.
    """
    seconds = leave.least_s + tokens / leave.tokens_per_second
    if here is not None and tokens >= _LEAST_CACHED_TOKENS:
        micros = tokens * ((there or here).input - here.cached) / _MICROS
        seconds += max(0.0, micros) / leave.micros_per_second
    return seconds


def read_leave(options: Mapping[str, Any] | str | None) -> Leave | None:
    """Read the option `leave`; None: never.

    Raises:
        TypeError, ValueError: it is wrong; the message is for the user.
    """
    if options == "never":
        return None
    if not isinstance(options, Mapping | None):
        raise TypeError("leave takes `never` or options such as {dollars_per_second: $0.01}")
    given: dict[str, float] = {}
    for name, value in (options or {}).items():
        if name not in _OPTIONS:
            raise TypeError(f"leave has no option {name}; it has {', '.join(_OPTIONS)}")
        field, parse, least = _OPTIONS[name]
        try:
            given[field] = parse(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"leave: {name}: {error}") from None
        if given[field] < least:
            raise ValueError(f"leave: {name}: {value} is too little")
    return Leave(**given)


_OPTIONS: Mapping[str, tuple[str, Any, float]] = {
    "dollars_per_second": ("micros_per_second", parse_money, 1),
    "tokens_per_second": ("tokens_per_second", float, 1),
    "load": ("load", float, 1),
    "least": ("least_s", parse_duration, 0),
}
"""By the option's name: the field, who reads it, and the least it may be."""

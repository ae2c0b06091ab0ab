"""The settings of what survives: breakers, limits, conditions, hedges, splits and mirrors.

Their texts are what `headgate schema` shows in an editor, as in `proxy.config.structs`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from proxy.config.base import Settings
from proxy.config.types import (
    Count,
    Duration,
    DurationOrZero,
    Money,
    Options,
    Patterns,
    Share,
    ShareOrNone,
)


class Breaker(Settings, frozen=True, kw_only=True):
    """When a model of a provider is left alone after failures, and how it comes back.

    Only failures of the vendor count: 5xx, time-outs, broken connections and answers; no
    client's mistake, no rate limit, no client that left.
    """

    enabled: Annotated[bool, Meta(description="Whether there is one.")] = True
    failures: Annotated[Count, Meta(description="So many in a row open it.")] = 10
    ratio: Annotated[Share, Meta(description="This share of failures in the window opens it.")] = (
        0.5
    )
    window: Annotated[Duration, Meta(description="How far back the ratio looks.")] = 30
    least: Annotated[Count, Meta(description="Calls in the window before the ratio counts.")] = 20
    open: Annotated[Duration, Meta(description="First rest; doubled after a failed probe.")] = 5
    open_max: Annotated[Duration, Meta(description="Longest rest.")] = 60
    slow_start: Annotated[
        DurationOrZero, Meta(description="After recovery, how long until it has its full share.")
    ] = 10


class Probe(Settings, frozen=True, kw_only=True):
    """Whether a resting model is asked by the gateway itself instead of by a client's call."""

    interval: Annotated[
        DurationOrZero, Meta(description="Between two probes of a resting model; 0: none.")
    ] = 0
    timeout: Annotated[Duration, Meta(description="Longest wait for an answer to a probe.")] = 10


class Adaptive(Settings, frozen=True, kw_only=True):
    """Calls in flight per credential that follow what the vendor bears, up to `workers`."""

    enabled: Annotated[bool, Meta(description="Whether the limit moves.")] = False
    least: Annotated[Count, Meta(description="Never fewer than this.")] = 1
    tolerance: Annotated[
        float, Meta(gt=1, description="First tokens so many times slower than usual lower it.")
    ] = 2


class Price(Settings, frozen=True, kw_only=True):
    """Dollars for a million tokens; what is left out is taken from the list of prices."""

    input: Annotated[Money, Meta(description="Of the prompt.")]
    output: Annotated[Money, Meta(description="Of the answer.")]
    cached: Annotated[
        Money | None, Meta(description="Of what the vendor's cache had; left out: as input.")
    ] = None


class Condition(Settings, frozen=True, kw_only=True):
    """What must hold of a request: all that is given here."""

    header: Annotated[
        dict[str, str], Meta(description="Header to a pattern of its value, * and ? allowed.")
    ] = {}
    tag: Annotated[
        dict[str, str], Meta(description="Tag (`x-headgate-tags`) to a pattern of its value.")
    ] = {}
    key: Annotated[Patterns, Meta(description="Names of client keys; any of them.")] = []
    team: Annotated[Patterns, Meta(description="Teams of client keys; any of them.")] = []
    body: Annotated[
        Options,
        Meta(
            description="JSON pointer into the request to a value, a pattern, or a comparison such "
            'as ">= 1000".'
        ),
    ] = {}
    task: Annotated[
        Patterns, Meta(description="What is asked for, as code, vision or long; any of them.")
    ] = []


CONDITIONS = ("header", "tag", "key", "team", "body", "task")
"""The settings that say something of a request."""


class When(Condition, frozen=True, kw_only=True):
    """A condition and the route that serves what it holds for."""

    route: Annotated[str, Meta(description="One of `routes`.")]


class Split(Settings, frozen=True, kw_only=True):
    """A share of the traffic that another route serves; the same client stays there."""

    route: Annotated[str, Meta(description="One of `routes`.")]
    share: Annotated[Share, Meta(description="5% or 0.05.")]


class Mirror(Settings, frozen=True, kw_only=True):
    """A copy of a share of the traffic for another route; its answers are only compared."""

    route: Annotated[str, Meta(description="One of `routes`.")]
    share: Annotated[Share, Meta(description="5% or 0.05.")] = 1
    most: Annotated[Count, Meta(description="Copies under way at once; more are left out.")] = 16


class Hedge(Settings, frozen=True, kw_only=True):
    """A second call to another deployment when the first token takes unusually long.

    The first content wins, and the other call is cancelled.
    """

    after: Annotated[
        Duration | None,
        Meta(description="How long the first call has alone; left out: its usual 95th percentile."),
    ] = None
    share: Annotated[ShareOrNone, Meta(description="At most this share of the calls; 0: none.")] = 0
    cost: Annotated[Share, Meta(description="At most this share of what the calls cost.")] = 0.05


class StrategyEntry(Settings, frozen=True, kw_only=True):
    """A strategy; a file writes `name` or `{name: {option: value}}`."""

    name: str = "priority"
    options: Options = {}

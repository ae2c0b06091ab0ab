"""The unit that routing chooses: one provider, one upstream model, and how it is doing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from proxy.adapter import Adapter, Target
from proxy.catalogue import CAPABILITIES, Model, lookup
from proxy.config.structs import Retries, Timeouts
from proxy.credentials import Credential
from proxy.exchange import Exchange
from proxy.health import Health
from proxy.patches import Patch
from proxy.queues import ProviderUnit

_NOTHING: frozenset[str] = frozenset()
_ALL = frozenset(CAPABILITIES.values())
_MILLION = 1_000_000


class Price(NamedTuple):
    """What a model costs, in millionths of a dollar for a million tokens."""

    input: int
    output: int
    cached: int

    def micros(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0) -> float:
        """Return what a call costs, in millionths of a dollar."""
        fresh = (input_tokens - cached_tokens) * self.input
        return (fresh + cached_tokens * self.cached + output_tokens * self.output) / _MILLION


@dataclass(slots=True, eq=False)
class Deployment:
    """A place that can serve a route.

    Attributes:
        model: the vendor's name of the model; None takes the client's.
        health: its state, shared with the other routes that name it.
        priority: lower is tried earlier under `priority`.
        weight: relative share under weighted strategies.
        headers: what the configuration sends to this vendor.
        tags: what the configuration says of it, for strategies and records.
        options: the provider's own, for its adapter.
        base_url: the provider's.
        patch: what the configuration changes in the body; None changes nothing.
        facts: what the catalogue knows of its model.
        when: whether it serves an exchange at all; None: any.
        region: where it computes, as the configuration says; empty where it does not.
        price: None where nobody knows.
        vendor: what the catalogue calls whoever made it.
        learns: whether its route needs to know how long answers are, and how fast.
        quote: looks up the price of a client's model; None where nothing needs to know.
        drained: the configuration wants no new calls there.
    """

    unit: ProviderUnit
    adapter: Adapter
    timeouts: Timeouts
    retries: Retries
    health: Health
    model: str | None = None
    priority: int = 1
    weight: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    base_url: str = ""
    patch: Patch | None = None
    facts: Model | None = None
    when: Callable[[Exchange], bool] | None = None
    region: str = ""
    price: Price | None = None
    drained: bool = False
    vendor: str = ""
    learns: bool = False
    quote: Callable[[str, str], Price | None] | None = None
    credentials: tuple[Credential, ...] = ()
    _targets: dict[Credential, Target] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Find the credentials that may be used for its model."""
        self.credentials = tuple(self.unit.fitting(self.model or ""))
        self.health.learns = self.health.learns or self.learns

    @property
    def well(self) -> bool:
        """Whether nothing at all stands against it, whoever asks."""
        health, unit = self.health, self.unit
        return (
            health.breaker.state == "closed"
            and not health.uses
            and self.when is None
            and not (self.drained or health.drained or unit.drained)
            and bool(self.credentials)
        )

    @property
    def lacks(self) -> frozenset[str]:
        """What its model is known not to do, in the catalogue's words."""
        known = self.facts.capabilities if self.facts is not None else None
        return _NOTHING if known is None else _ALL - known

    @property
    def name(self) -> str:
        """Provider and model, as a client may write it."""
        return f"{self.unit.name}/{self.model or '*'}"

    def under(self, model: str) -> Deployment:
        """Return this deployment for a client's `model`, where it has none of its own."""
        return replace(
            self,
            model=model,
            health=self.unit.health(model),
            facts=lookup(model, self.vendor),
            price=self.price or (self.quote(model, self.vendor) if self.quote else None),
            _targets={},
        )

    def wait_s(self, now: float, tokens: int = 0) -> float:
        """Return how long until one of its credentials may be used, in seconds.

        Args:
            now: monotonic time, in seconds.
            tokens: what the call is expected to use.

        Returns:
            0 where one may be used now; infinite where all are dead or none fits.
        """
        if not self.unit.limited and not self.health.uses:
            return 0.0 if self.credentials else math.inf
        shortest = math.inf
        for credential in self.credentials:
            wait_s = max(credential.wait_s(now, tokens), self.health.wait_s(credential, now))
            if wait_s <= 0:
                return 0.0
            shortest = min(shortest, wait_s)
        return shortest

    def pick(self, now: float, tokens: int = 0, avoid: Sequence[str] = ()) -> Credential | None:
        """Choose a credential for a call, or None if none may be used now.

        By weight among those with room under their moving limit; if none has room, by weight
        among all: the provider's workers bound them together.

        Args:
            now: monotonic time, in seconds.
            tokens: what the call is expected to use.
            avoid: names of credentials that this exchange has seen fail here.
        """
        if len(self.credentials) == 1:
            only = self.credentials[0]
            if not self.unit.limited and not self.health.uses:
                return only
            return only if self._ready(only, now, tokens) and only.name not in avoid else None
        ready = [c for c in self.credentials if c.name not in avoid and self._ready(c, now, tokens)]
        if len(ready) < 2:
            return ready[0] if ready else None
        ready = [c for c in ready if c.room] or ready
        return random.choices(ready, [c.weight for c in ready])[0]

    def target(self, credential: Credential) -> Target:
        """Return where an attempt with `credential` goes."""
        target = self._targets.get(credential)
        if target is None:
            target = self._targets[credential] = Target(
                self.model or "",
                credential.value,
                self.headers,
                credential.name,
                self.options,
                self.base_url,
                credential.authorizer,
            )
        return target

    def _ready(self, credential: Credential, now: float, tokens: int) -> bool:
        rested = self.health.wait_s(credential, now) <= 0
        return rested and credential.wait_s(now, tokens) <= 0

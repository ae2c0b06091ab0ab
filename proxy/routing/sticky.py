"""The same conversation to the same deployment, so that vendors' prompt caches stay warm.

Each conversation has a home by rendezvous hashing: the deployment that draws the highest
number for it. When one comes or goes, only its own share of the conversations moves, and all
processes agree without a word. Where a conversation was last is remembered for as long as
vendors keep a prompt, and it stays there until leaving pays (`proxy.routing._leaving`).

Source: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998);
weights as in J. Resch, "New Hashing Algorithms for Data Storage" (2015)
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from time import monotonic
from typing import Any, NamedTuple

from proxy import estimate
from proxy.config.units import parse_duration
from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.health import Health
from proxy.routing._conversation import KEYS
from proxy.routing._leaving import Outlook, read_leave, saved_s, stays
from proxy.routing._pairs import first_s

MOST_WARM = 10_000
"""Conversations of which it is remembered where they were."""

_MASK = 2**64 - 1


class _Warm(NamedTuple):
    """Where a conversation was last.

    Attributes:
        tokens: of its prompt then.
        until: monotonic time at which the vendor will have forgotten it, in seconds.
    """

    health: Health
    tokens: int
    until: float


class Sticky:
    """Weights are shares of the conversations."""

    def __init__(
        self,
        by: str = "prefix",
        header: str = "x-session-id",
        leave: Mapping[str, Any] | str | None = None,
        warm: str | float = "5m",
    ) -> None:
        """Read the options.

        Args:
            by: what one conversation has in common: `prefix`, how its prompt begins; `session`,
                a header; `key`, who asks.
            header: the one that names a session; a request without it goes by its key.
            leave: `never`, or what waiting is worth; see `proxy.routing._leaving.Leave`.
            warm: how long a vendor keeps a prompt that is not used.

        Raises:
            TypeError, ValueError: one is wrong; the message is for the user.
        """
        if by not in KEYS:
            raise ValueError(f"by takes {', '.join(KEYS)}, not {by}")
        self._key = KEYS[by]
        self._header = header.lower()
        self._leave = read_leave(leave)
        self._warm_s = parse_duration(warm)
        self._warm: dict[int, _Warm] = {}  # the longest unused first

    def __copy__(self) -> Sticky:
        """Return one with a memory of its own, for who only wants to know what would happen."""
        other = object.__new__(Sticky)
        other.__dict__.update(self.__dict__, _warm=self._warm.copy())
        return other

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return where the conversation is, or belongs; another one where leaving pays."""
        key = self._key(exchange, self._header)
        now = monotonic()
        tokens = estimate.of_prompt(exchange.request)
        chosen, cached = None, 0
        warm = self._warm.pop(key, None)
        if warm is not None and warm.until > now:
            for deployment in candidates:
                if deployment.health is warm.health:
                    chosen, cached = deployment, min(tokens, warm.tokens)
        if chosen is None:
            chosen = home(candidates, key)
        if self._leave is not None and len(candidates) > 1:
            other = _another(candidates, chosen)
            if not self._stays(chosen, other, cached, exchange.stream, now):
                chosen = other
        self._warm[key] = _Warm(chosen.health, tokens, now + self._warm_s)
        if len(self._warm) > MOST_WARM:
            del self._warm[next(iter(self._warm))]
        return chosen

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return whether the conversation is there, or how high a number it draws."""
        key = self._key(exchange, self._header)
        warm = self._warm.get(key)
        now = monotonic()
        if warm is None or warm.until <= now or warm.health is not deployment.health:
            return f"draws {_draw(deployment, key):.3f}: the highest is the conversation's home"
        cached = min(estimate.of_prompt(exchange.request), warm.tokens)
        said = f"the conversation's last place, {cached} tokens perhaps still in the cache"
        if self._leave is None:
            return said
        worth_s = saved_s(cached, deployment.price, None, self._leave)
        return f"{said}, worth {worth_s:.2f} s of waiting"

    def _stays(
        self, here: Deployment, there: Deployment, cached: int, stream: bool, now: float
    ) -> bool:
        leave = self._leave
        assert leave is not None
        return stays(
            _outlook(here, stream, now),
            _outlook(there, stream, None),
            saved_s(cached, here.price, there.price, leave),
            leave.load,
        )


def home(candidates: Sequence[Deployment], key: int) -> Deployment:
    """Return who draws the highest number for a conversation."""
    best, highest = candidates[0], -1.0
    for deployment in candidates:
        drawn = _draw(deployment, key)
        if drawn > highest:
            best, highest = deployment, drawn
    return best


def _draw(deployment: Deployment, key: int) -> float:
    """Return its number for a conversation, from 0 to 1, the higher the more weight it has."""
    factor, summand = _numbers(deployment.health.name)
    drawn: float = (factor * key + summand & _MASK) / _MASK
    return drawn if deployment.weight == 1 else float(drawn ** (1 / deployment.weight))


@lru_cache(maxsize=4096)
def _numbers(name: str) -> tuple[int, int]:
    """Return what a deployment draws by: factor and summand of a universal hash function.

    Source: M. Dietzfelbinger et al., "A Reliable Randomized Algorithm for the Closest-Pair
    Problem" (1997)
    """
    digest = blake2b(name.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") | 1, int.from_bytes(digest[8:], "big")


def _another(candidates: Sequence[Deployment], chosen: Deployment) -> Deployment:
    """Draw one of the others."""
    other = candidates[int(random.random() * (len(candidates) - 1))]
    return candidates[-1] if other is chosen else other


def _outlook(deployment: Deployment, stream: bool, now: float | None) -> Outlook:
    """Return what a call may expect; without a time, nothing slow is forgiven."""
    depth = deployment.unit.depth
    busy = deployment.health.busy + depth
    token_s = first_s(deployment, 1 if now is None else busy, stream, now or 0.0)
    wait_s = deployment.unit.retry_after_s if depth else 0.0
    return Outlook(token_s, wait_s, (busy + 1) / deployment.weight)

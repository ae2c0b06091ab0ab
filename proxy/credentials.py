"""A provider's credentials: which fit a model, and which may be used now.

well     used by weight
resting  left alone until a time: the vendor said so, or a ceiling known beforehand is reached
dead     refused by the vendor; after a while one call may find out whether it still is
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from proxy.adapter import Authorizer
from proxy.ceilings import Ceiling
from proxy.concurrency import Adaptive


class Credential:
    """One credential and its state, shared by all that use it.

    Attributes:
        value: the secret itself; empty where the vendor needs none, or an authorizer has it.
        name: what logs, metrics and records call it.
        weight: its share among those that fit the model.
        models: patterns of upstream models it may be used for; empty means all.
        authorizer: makes more of it than a header; None where it neither expires nor signs.
        requests, tokens: the vendor's limits by the minute as far as they are known.
        adaptive: a moving limit of calls in flight; None: only the provider's workers.
        busy: calls in flight.
        rests_until: monotonic time before which nothing is sent with it, in seconds.
    """

    __slots__ = (
        *("adaptive", "authorizer", "busy", "models", "name", "requests", "rests_until"),
        *("tokens", "value", "weight"),
    )

    def __init__(
        self, value: str = "", name: str = "", weight: float = 1.0, models: Iterable[str] = ()
    ) -> None:
        self.value = value
        self.name = name
        self.weight = weight
        self.models = tuple(models)
        self.authorizer: Authorizer | None = None
        self.requests: Ceiling | None = None
        self.tokens: Ceiling | None = None
        self.adaptive: Adaptive | None = None
        self.busy = 0
        self.rests_until = 0.0

    def __repr__(self) -> str:
        return f"<Credential {self.name or 'none'} busy {self.busy}>"

    def fits(self, model: str) -> bool:
        """Whether it may be used for this upstream model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)

    @property
    def room(self) -> bool:
        """Whether its moving limit has a place."""
        return self.adaptive is None or self.busy < self.adaptive.limit

    def wait_s(self, now: float, tokens: int) -> float:
        """Return how long it has to be left alone, in seconds."""
        wait_s = self.rests_until - now
        if self.requests is not None:
            wait_s = max(wait_s, self.requests.wait_s(now))
        if self.tokens is not None:
            wait_s = max(wait_s, self.tokens.wait_s(now, tokens))
        return max(0.0, wait_s)

    def left(self, now: float) -> float:
        """Return the share of its known limits that is free, from 0 to 1; 1 without any."""
        share = 1.0 if self.requests is None else self.requests.left(now)
        return share if self.tokens is None else min(share, self.tokens.left(now))

"""How the models of a provider are doing: what all routes that name one know of it together.

A use is one credential for one model. Vendors limit and refuse by both, so both together
rest, or die:

    well     used by its credential's weight
    resting  left alone until a time: the vendor said so
    dead     refused by the vendor; after a while one call may find out whether it still is
"""

from __future__ import annotations

import math

from proxy.averages import Ewma, PeakEwma, Quantile
from proxy.breaker import Breaker, BreakerRules
from proxy.credentials import Credential

DEATH = BreakerRules(
    failures=3, ratio=1.0, least=1_000_000, open_s=5.0, open_most_s=60.0, slow_start_s=0.0
)
"""A 401 kills at once, three 403 in a row do: one prompt that a vendor's firewall refuses with
403 must not take a credential from everybody."""


class UseState:
    """What is known of a use that has failed.

    Attributes:
        life: open while the vendor refuses it.
        rests_until: monotonic time before which it is left alone, in seconds.
        limited: rate limits in a row without a good answer.
    """

    __slots__ = ("life", "limited", "rests_until")

    def __init__(self) -> None:
        self.life = Breaker(DEATH)
        self.rests_until = 0.0
        self.limited = 0


class Health:
    """The state of one model at one provider.

    Attributes:
        name: `provider/model`, for logs, metrics and operators.
        breaker: closed while it works.
        busy: calls in flight.
        drained: an operator wants no new calls there.
        first_token, whole: how long it takes now, of streams and of whole answers, in seconds.
        usual_first_token, usual_whole: the 95th percentile of both; None until a hedge asks.
        learns: whether somebody asks for the next two; else they are not worked out.
        speed: tokens of an answer per second, once it has begun.
        output_tokens: what an answer usually has.
        uses: the credentials that have failed here, and how they are now.
    """

    __slots__ = (
        *("breaker", "busy", "drained", "first_token", "learns", "name", "output_tokens"),
        *("speed", "uses", "usual_first_token", "usual_whole", "whole"),
    )

    def __init__(self, name: str, rules: BreakerRules = BreakerRules()) -> None:  # noqa: B008 - immutable
        self.name = name
        self.breaker = Breaker(rules)
        self.busy = 0
        self.drained = False
        self.first_token = PeakEwma()
        self.whole = PeakEwma()
        self.usual_first_token: Quantile | None = None
        self.usual_whole: Quantile | None = None
        self.learns = False
        self.speed = Ewma()
        self.output_tokens = Ewma()
        self.uses: dict[Credential, UseState] = {}

    def __repr__(self) -> str:
        return f"<Health {self.name} {self.breaker.state} busy {self.busy}>"

    def latency_s(self, now: float, *, stream: bool) -> float:
        """Return how long the first content takes now, in seconds; 0 while nobody knows."""
        near, far = (self.first_token, self.whole) if stream else (self.whole, self.first_token)
        return near.value(now) or far.value(now)

    def known_s(self, *, stream: bool) -> float:
        """Return how long it took when last seen, however long ago, in seconds; 0: never seen."""
        near, far = (self.first_token, self.whole) if stream else (self.whole, self.first_token)
        return near.last or far.last

    def usual_s(self, *, stream: bool) -> float | None:
        """Return the 95th percentile of that, in seconds; None until it is learned.

        Learning begins with the first question: most routes never ask.
        """
        if self.usual_first_token is None or self.usual_whole is None:
            self.usual_first_token, self.usual_whole = Quantile(), Quantile()
        return (self.usual_first_token if stream else self.usual_whole).value()

    def observe(self, now: float, first_s: float, *, stream: bool) -> None:
        """Learn how long the first content took, in seconds."""
        if stream:
            self.first_token.observe(now, first_s)
        else:
            self.whole.observe(now, first_s)
        usual = self.usual_first_token if stream else self.usual_whole
        if usual is not None:
            usual.observe(first_s)

    def use(self, credential: Credential) -> UseState:
        """Return the state of a use that fails; one without any has nothing to tell."""
        state = self.uses.get(credential)
        if state is None:
            state = self.uses[credential] = UseState()
        return state

    def wait_s(self, credential: Credential, now: float) -> float:
        """Return how long a use has to be left alone, in seconds; infinite while it is dead."""
        if not self.uses or (state := self.uses.get(credential)) is None:
            return 0.0
        if state.life.state != "closed" and not state.life.allows(now):
            return math.inf
        return max(0.0, state.rests_until - now)

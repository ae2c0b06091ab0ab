"""How many calls one credential may have in flight, learned from how the vendor takes them.

Additive increase, multiplicative decrease: while the limit is in use, as many successes as it
allows calls raise it by one; a refusal (429) or a timeout takes three tenths off. A vendor that
does not refuse but queues is noticed by its first tokens: when they come so many times later
than usual, a tenth goes off.

First tokens are averaged as logarithms, since their times differ by factors: prompts are short
or long. What is usual follows at once downwards, but upwards only while our own calls cannot be
what slows the vendor: when half the limit is free, or the limit is as low as it gets. Otherwise a
queue that we cause would become usual, and then the next, longer one.

Source: D. Chiu, R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
Avoidance in Computer Networks", 1989, https://doi.org/10.1016/0169-7552(89)90019-6 (2026-11-21)
"""

from __future__ import annotations

from math import exp2, inf, log2

_REFUSED = 0.7  # of the limit is left after a refusal or a timeout
_SLOWED = 0.9  # of the limit is left when first tokens come late
_REST_S = 1.0  # at least between a decrease and the next change
_LEARNED = 20  # first tokens that make what is usual
_NEWEST = 0.05  # weight of one first token in what they are lately
_DOWN = 0.02  # weight of what they are lately in what is usual, when that is lower
_UP_S = 60.0  # time constant of what is usual, when it may rise
_QUICK_S = 0.02  # a delay below this is the network's and ours, and says nothing of the vendor
_SHORTEST_S = 1e-4  # anything shorter counts as this
_SHORTEST = log2(_SHORTEST_S)


class Adaptive:
    """A limit of calls in flight between `least` and `most`; every `now` is monotonic seconds.

    It starts at `most`: nothing is held back before the vendor has given a reason.

    Attributes:
        limit: calls that may be in flight.
    """

    __slots__ = (
        "_exact",
        "_late",
        "_learned",
        "_recent",
        "_rest_until",
        "_seen_at",
        "_usual",
        "least",
        "limit",
        "most",
    )

    def __init__(self, least: int, most: int, tolerance: float = 2.0) -> None:
        """Start at `most`; first tokens may come `tolerance` times later than usual."""
        self.least = least
        self.most = most
        self.limit = most
        self._exact = float(most)
        self._rest_until = -inf
        self._late = log2(tolerance)
        self._recent = self._usual = 0.0  # binary logarithms of seconds
        self._learned = 0
        self._seen_at = 0.0

    def __repr__(self) -> str:
        return f"<Adaptive {self.limit} of {self.least}..{self.most}>"

    def success(self, now: float, first_token_s: float | None, busy: int) -> None:
        """A call went well, and `busy` were in flight, itself included.

        `first_token_s` is None where it is not known, as of an answer that came whole.
        """
        if first_token_s is not None:
            self._observe(now, first_token_s, busy)
        # The place of one that has just left may still be on its way to the next.
        if busy + 1 >= self.limit < self.most and now >= self._rest_until:
            self._exact = min(self._exact + 1 / self._exact, self.most)
            self.limit = int(self._exact)

    def rejected(self, now: float) -> None:
        """The vendor refused a call as one too many."""
        self._decrease(now, _REFUSED, _REST_S)

    def timed_out(self, now: float) -> None:
        """The vendor did not answer a call in time."""
        self._decrease(now, _REFUSED, max(_REST_S, exp2(self._recent)))

    def _observe(self, now: float, first_token_s: float, busy: int) -> None:
        """Count one first token; what is usual follows what they are lately."""
        sample = log2(first_token_s) if first_token_s > _SHORTEST_S else _SHORTEST
        since_s, self._seen_at = now - self._seen_at, now
        if self._learned < _LEARNED:
            self._learned += 1
            self._usual += (sample - self._usual) / self._learned
            self._recent = self._usual
            return
        usual, recent = self._usual, self._recent
        bound = usual + 2 * self._late  # a single one, however late, counts as little more
        self._recent = recent = recent + _NEWEST * ((sample if sample < bound else bound) - recent)
        if recent <= usual:
            self._usual = usual + _DOWN * (recent - usual)
            return
        if 2 * busy <= self.limit or self.limit <= self.least:
            self._usual = usual + min(1.0, since_s / _UP_S) * (recent - usual)
        if recent > self._usual + self._late and exp2(recent) - exp2(self._usual) > _QUICK_S:
            self._decrease(now, _SLOWED, max(_REST_S, exp2(recent)))

    def _decrease(self, now: float, left: float, rest_s: float) -> None:
        """Lower the limit, once for all calls that ran into the same trouble.

        The next step is taken `rest_s` later, when calls under the new limit have shown
        what it does: a refusal comes at once, lateness only with a first token.
        """
        if now < self._rest_until:
            return
        self._exact = max(self._exact * left, float(self.least))
        self.limit = int(self._exact)
        self._rest_until = now + rest_s

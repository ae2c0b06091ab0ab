"""Whether a deployment is left alone because it fails.

States: closed (calls go through and are counted), open (none goes through until a time), half
open (one call at a time goes through and decides: a success closes, a failure opens again, for
twice as long). `begin` is what turns open into half open; merely asking changes nothing.

After it has closed, a deployment gets its share of calls back bit by bit: what has just come up
is not at once hit by everything that waited for it.
"""

from __future__ import annotations

import random
from collections import deque
from math import inf
from typing import Literal, NamedTuple

_BUCKETS = 10  # of the sliding window; it forgets a tenth at a time
_JITTER = 0.2  # an opening ends up to this share earlier, so that not all try at once
_LEAST_SHARE = 0.1  # right after recovery
_PROBE_LOST_S = 60.0  # a probe that nobody ended by then does not keep others out for ever

_CHANCE = random.SystemRandom()  # another in each worker, even where they are forked

State = Literal["closed", "open", "half_open"]


class BreakerRules(NamedTuple):
    """When a breaker opens, and for how long.

    Attributes:
        failures: so many one after the other open it.
        ratio: this share of the calls in the window failing opens it.
        window_s: what the ratio looks back on, in seconds.
        least: calls that must be in the window before the ratio counts.
        open_s: how long it stays open at first, in seconds.
        open_most_s: how long at most; the time doubles whenever a probe fails.
        slow_start_s: from recovery to the full share of calls, in seconds.
        enabled: whether it opens by itself.
    """

    failures: int = 10
    ratio: float = 0.5
    window_s: float = 30.0
    least: int = 20
    open_s: float = 5.0
    open_most_s: float = 60.0
    slow_start_s: float = 10.0
    enabled: bool = True


_RULES = BreakerRules()


class Breaker:
    """The breaker of one deployment; every `now` is monotonic seconds.

    Whoever begins a call must end it with one of `success`, `failure` and `neutral`.

    Attributes:
        open_until: when the last opening ends, or ended.
        changes: how often the state changed; compare it to notice a change.
    """

    __slots__ = (
        "_chance",
        "_consecutive",
        "_open_s",
        "_probe_until",
        "_since",
        "_window",
        "changes",
        "open_until",
        "rules",
        "state",
    )

    def __init__(self, rules: BreakerRules = _RULES, chance: random.Random = _CHANCE) -> None:
        """Start closed; `chance` draws the jitter."""
        self.rules = rules
        self.state: State = "closed"
        self.open_until = 0.0
        self.changes = 0
        self._chance = chance
        self._consecutive = 0
        self._open_s = 0.0
        self._probe_until = -inf
        self._since = -inf  # when it last opened or closed
        self._window = _Window(rules.window_s)

    def __repr__(self) -> str:
        return f"<Breaker {self.state}>"

    @property
    def failures(self) -> int:
        """Failed calls that count now: in the window, or one after the other if that is more."""
        return max(self._consecutive, self._window.failed)

    def allows(self, now: float) -> bool:
        """Whether a call may begin."""
        if self.state == "closed":
            return True
        return now >= (self.open_until if self.state == "open" else self._probe_until)

    def begin(self, now: float) -> bool:
        """Begin a call; True: it is the probe, which is to be told when the call ends."""
        if self.state == "closed" or not self.allows(now):
            return False
        if self.state == "open":
            self._become("half_open")
        self._probe_until = now + _PROBE_LOST_S
        return True

    def success(self, now: float, probe: bool, begun_at: float | None = None) -> None:
        """A call ended well.

        With `begun_at`, the time it began, it counts for nothing if that was before the last
        opening, also when it ends after the recovery.
        """
        if begun_at is not None and begun_at < self._since:
            return
        if self.state == "closed":
            if self.rules.enabled:
                self._consecutive = 0
                self._window.count(now, 0)
        elif probe and self.state == "half_open":
            self.closed(now)

    def failure(self, now: float, probe: bool, begun_at: float | None = None) -> None:
        """A call ended badly, by the deployment's fault; `begun_at` as in `success`."""
        if begun_at is not None and begun_at < self._since:
            return
        if self.state == "closed":
            if self.rules.enabled:
                self._consecutive += 1
                self._window.count(now, 1)
                if self._broken():
                    self._open(now)
        elif probe and self.state == "half_open":
            self._open(now)

    def neutral(self, probe: bool) -> None:
        """A call ended in a way that says nothing of the deployment's health."""
        if probe:
            self._probe_until = -inf

    def share(self, now: float) -> float:
        """Return which part of its usual calls it should get: above 0, at most 1."""
        if self.state != "closed":
            return _LEAST_SHARE
        age_s, whole_s = now - self._since, self.rules.slow_start_s
        if age_s >= whole_s:
            return 1.0
        return _LEAST_SHARE + (1.0 - _LEAST_SHARE) * max(age_s, 0.0) / whole_s

    def opened(self, now: float, until: float) -> None:
        """Take over that it was opened elsewhere, unless that is over."""
        if until > now:
            self._open_s = min(until - now, self.rules.open_most_s)
            self.open_until = until
            if self.state != "open":
                self._since = now
                self._become("open")

    def closed(self, now: float) -> None:
        """Close it: the probe was good, or somebody else says so."""
        if self.state != "closed":
            self._since = now
            self._become("closed")
            self._open_s = 0.0

    def _open(self, now: float) -> None:
        rules = self.rules
        self._open_s = min(2 * self._open_s or rules.open_s, rules.open_most_s)
        self.open_until = now + self._open_s * (1.0 - _JITTER * self._chance.random())
        self._since = now
        self._become("open")

    def _become(self, state: State) -> None:
        """Change the state; what was counted or under way in the one before ends with it."""
        self.state = state
        self.changes += 1
        self._consecutive = 0
        self._probe_until = -inf
        self._window.clear()

    def _broken(self) -> bool:
        rules, window = self.rules, self._window
        return self._consecutive >= rules.failures or (
            window.calls >= rules.least and window.failed >= rules.ratio * window.calls
        )


class _Window:
    """Calls of the last so many seconds and how many failed, in buckets of a tenth of it.

    The sums are counted up at once; what the running bucket added to them is worked out when it
    ends, so that most calls only add one.
    """

    __slots__ = ("_before", "_bucket", "_ended", "_ends_at", "_width_s", "calls", "failed")

    def __init__(self, length_s: float) -> None:
        self._width_s = length_s / _BUCKETS
        self._ended: deque[tuple[int, int, int]] = deque()  # number, calls and failed of each
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._ended.clear()
        self._before = (0, 0)
        self._bucket = self.calls = self.failed = 0
        self._ends_at = -inf

    def count(self, now: float, failed: int) -> None:
        """Count one call; `failed` is 1 or 0."""
        if now >= self._ends_at:
            self._advance(now)
        self.calls += 1
        self.failed += failed

    def _advance(self, now: float) -> None:
        """Begin the bucket of `now`, and take out of the sums what is too old by then."""
        calls, failed = self._before
        self._ended.append((self._bucket, self.calls - calls, self.failed - failed))
        self._bucket = int(now / self._width_s)
        while self._ended and self._ended[0][0] <= self._bucket - _BUCKETS:
            _, calls, failed = self._ended.popleft()
            self.calls -= calls
            self.failed -= failed
        self._before = (self.calls, self.failed)
        self._ends_at = (self._bucket + 1) * self._width_s

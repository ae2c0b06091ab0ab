"""Which process of all may try an open circuit: who holds the lease on it.

Shortly before the rest of a circuit is over, each process asks for its lease. One gets it;
its next call is the probe. To the others the circuit stays open until they hear the result,
or the lease has run out. One open circuit as one process sees it:

    resting ──shortly before the rest is over: ask──▶ ours │ theirs
    ours    ──a call tries it: renew──▶ ours        (its result is told, which ends all of this)
            ──nobody called: step back──▶ resting   (another process may have calls for it)
    theirs  ──the lease is over: ask──▶ ours │ theirs
    any     ──closed, or for long nobody wanted it──▶ forgotten

While the server cannot be asked, nothing here changes: a rest then ends for each process by
itself. The same goes for a circuit that was left alone for minutes; its next call decides.

Pure: clock readings and answers come in, what to ask comes out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.breaker import Breaker

LEASE_S = 3.0
"""How long a lease lasts, in seconds; the holder renews it while its probe is under way."""

LEAD_S = 0.5
"""How long before a rest's or a lease's end it is asked for, in seconds."""

MARGIN_S = 0.2
"""How long after a lease's end the circuit stays open, so that the next can be asked for."""

IDLE_S = 300.0
"""How long nobody may want a circuit before its lease is no longer asked for, in seconds."""

MOST = 2048
"""Circuits that are watched; for one more the oldest is left to itself."""


@dataclass(slots=True)
class _Watched:
    """An open circuit.

    Attributes:
        due: monotonic time of the next question, in seconds.
        until: when the rest that was told ends.
        ours: whether this process has the lease.
    """

    breaker: Breaker
    due: float
    until: float
    ours: bool = False


class Leases:
    """The circuits that are open now; every `now` is monotonic seconds."""

    def __init__(self, chance: random.Random | None = None) -> None:
        """Watch nothing yet; `chance` draws the jitter."""
        self._chance = chance or random.SystemRandom()
        self._watched: dict[str, _Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, name: str, breaker: Breaker) -> None:
        """Take note of a circuit that has changed."""
        self._watched.pop(name, None)
        if breaker.state != "open":
            return
        if len(self._watched) >= MOST:
            del self._watched[next(iter(self._watched))]
        until = breaker.open_until
        self._watched[name] = _Watched(breaker, until - LEAD_S, until)

    def due(self, now: float, most: int) -> list[str]:
        """Return the names whose turn it is to be asked for, at most so many."""
        found = []
        for name, watched in list(self._watched.items()):
            if watched.breaker.state == "closed" or now > watched.until + IDLE_S:
                del self._watched[name]
            elif now >= watched.due:
                if watched.ours and watched.breaker.state == "open":
                    self._step_back(watched, now)
                else:
                    found.append(name)
        return found[:most]

    def pause_s(self, now: float) -> float | None:
        """Return how long there is nothing to ask, in seconds; None: until the next change."""
        if not self._watched:
            return None
        return max(0.0, min(watched.due for watched in self._watched.values()) - now)

    def answered(self, names: Sequence[str], lefts_s: Sequence[float], now: float) -> None:
        """Take the answers.

        Args:
            names: what was asked for.
            lefts_s: for each how long somebody else still has it, in seconds; 0: it is ours.
            now: when they came.
        """
        for name, left_s in zip(names, lefts_s, strict=True):
            watched = self._watched.get(name)
            if watched is None or watched.breaker.state == "closed":
                continue
            watched.ours = left_s <= 0
            if watched.ours:
                watched.due = now + LEASE_S - LEAD_S
            else:
                self._hold(watched, now + left_s)

    def _step_back(self, watched: _Watched, now: float) -> None:
        """Let another have it: the lease runs out, and we ask after the others."""
        watched.ours = False
        self._hold(watched, now + LEAD_S + MARGIN_S / 2)

    def _hold(self, watched: _Watched, until: float) -> None:
        """Keep it open until the lease of another is over, and ask soon after that."""
        watched.due = until + self._chance.uniform(0.0, MARGIN_S / 2)
        if watched.breaker.state == "open":
            watched.breaker.open_until = max(watched.breaker.open_until, until + MARGIN_S)

"""What the simulator saw, for tests that ask afterwards (`GET /sim/stats`)."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MAX_ABORTS = 1000


class Abort(NamedTuple):
    """A client that closed before its answer was whole.

    Attributes:
        at: Unix time in seconds when the simulator noticed.
        after_s: seconds since the request was whole.
        model: the name it had asked for.
    """

    at: float
    after_s: float
    model: str


class Stats:
    """Counts since the start or the last reset.

    Attributes:
        requests: that were whole, those to the simulator's own paths left out.
        open: requests whose answer is not whole yet.
        peak: the most that were open at once.
        aborted: answers whose client left too early.
        connections: that were ever opened.
        connected: that are open now.
        bytes: sent, heads included.
        aborts: the latest of the aborted, oldest first.
    """

    def __init__(self) -> None:
        self.open = 0
        self.connected = 0
        self.aborts: deque[Abort] = deque(maxlen=MAX_ABORTS)
        self.clear()

    def clear(self) -> None:
        """Start again from zero; what is open now stays so."""
        self.requests = self.aborted = self.connections = self.bytes = 0
        self.peak = self.open
        self.aborts.clear()

    def begin(self) -> None:
        """Count a request whose answer begins."""
        self.open += 1
        self.peak = max(self.peak, self.open)

    def abort(self, abort: Abort) -> None:
        """Count a client that left too early."""
        self.aborted += 1
        self.aborts.append(abort)

    def document(self) -> dict[str, object]:
        """Return everything as it is shown."""
        shown: dict[str, object] = {
            name: value for name, value in vars(self).items() if name != "aborts"
        }
        return {**shown, "aborts": [abort._asdict() for abort in self.aborts]}

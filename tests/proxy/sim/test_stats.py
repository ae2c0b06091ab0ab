"""What the simulator saw."""

import json

from proxy.sim.stats import Abort, Stats


def test_a_reset_keeps_what_is_open() -> None:
    """Counts begin again; a request that is open is still open."""
    stats = Stats()
    stats.begin()
    stats.begin()
    stats.open -= 1
    stats.requests, stats.connected = 5, 2
    stats.abort(Abort(1.0, 0.5, "m"))
    assert (stats.peak, stats.aborted) == (2, 1)
    stats.clear()
    assert (stats.requests, stats.open, stats.peak, stats.connected) == (0, 1, 1, 2)
    assert stats.aborted == len(stats.aborts) == 0


def test_it_can_be_shown() -> None:
    """Everything is in the document, as JSON can carry it."""
    stats = Stats()
    stats.abort(Abort(1.0, 0.5, "m"))
    found = json.loads(json.dumps(stats.document()))
    assert found["aborts"] == [{"at": 1.0, "after_s": 0.5, "model": "m"}]
    assert {"requests", "open", "peak", "aborted", "connections", "connected", "bytes"} < set(found)

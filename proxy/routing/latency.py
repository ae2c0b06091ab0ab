"""The one of two drawn at random whose first token should come sooner.

Expected is what the first token takes now, times the calls it shares the deployment with, for
its weight. What it takes is an average that follows a rise at once and a fall slowly
(`proxy.averages.PeakEwma`), so one slow answer is enough to go elsewhere.

Nothing is known of a newcomer, and what was slow is forgiven with time: such a one gets one
call, and further ones when that has come back. While it has not, the last known counts.

Source: https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded
and its Peak EWMA (2026-11-21)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import monotonic

from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing._pairs import first_s, less_busy, load, pair


class Latency:
    """For streams by the first content, for whole answers by the whole."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return the sooner of two."""
        one, other = pair(candidates)
        stream, now = exchange.stream, monotonic()
        here_s, there_s = _expected_s(one, stream, now), _expected_s(other, stream, now)
        if here_s == there_s:
            return less_busy(one, other)
        return one if here_s < there_s else other

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return how long the first token takes, and how many calls would share it."""
        busy = load(deployment)
        known_s = first_s(deployment, busy, exchange.stream, monotonic())
        if not known_s:
            return f"not measured yet: one call finds out, {busy} in flight"
        weight = f", weight {deployment.weight:g}" if deployment.weight != 1 else ""
        return f"first token {known_s:.2f} s x {busy + 1} in flight with this one{weight}"


def _expected_s(deployment: Deployment, stream: bool, now: float) -> float:
    """Return what to compare: 0 for a newcomer, infinite while its first call is under way."""
    busy = load(deployment)
    known_s = first_s(deployment, busy, stream, now)
    if busy and not known_s:
        return math.inf
    return known_s * (busy + 1) / deployment.weight

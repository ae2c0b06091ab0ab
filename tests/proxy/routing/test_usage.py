"""Who has more room left in its quota."""

from __future__ import annotations

import random

import pytest

from proxy.ceilings import Ceiling
from proxy.credentials import Credential
from proxy.deployments import Deployment
from proxy.routing.usage import Usage
from tests.fakes import deployment, exchange, unit
from tests.proxy.routing.fleet import Clock


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the strategies' clock."""
    random.seed(7)
    return Clock(monkeypatch)


def limited(clock: Clock, name: str, *used: tuple[float, float]) -> Deployment:
    """Return a deployment with a credential for each: calls and tokens used, of 100 and 1000."""
    credentials = []
    for number, (calls, tokens) in enumerate(used):
        made = Credential("secret", f"{number}")
        made.requests, made.tokens = Ceiling(100), Ceiling(1000)
        made.requests.take(clock.now, calls)
        made.tokens.take(clock.now, tokens)
        credentials.append(made)
    return deployment(name, unit=unit(name, credentials=credentials))


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        ([(50, 0)], [(60, 0)], True),
        ([(10, 900)], [(60, 0)], False),
        ([(90, 0), (10, 0)], [(40, 0)], True),
        ([(90, 0), (80, 0)], [(40, 0)], False),
    ],
)
def test_most_room_is_chosen(
    clock: Clock,
    one: list[tuple[float, float]],
    other: list[tuple[float, float]],
    first: bool,
) -> None:
    """The scarcer of calls and tokens counts, with the best credential of each."""
    given = [limited(clock, "one", *one), limited(clock, "other", *other)]

    assert Usage().choose(given, exchange()) is given[0 if first else 1]


def test_a_credential_that_may_not_be_used_is_no_room(clock: Clock) -> None:
    """However little of its quota is used: that is why."""
    resting, other = limited(clock, "a", (0, 0), (95, 0)), limited(clock, "b", (50, 0))
    assert Usage().choose([resting, other], exchange()) is resting

    resting.credentials[0].rests_until = clock.now + 5
    assert Usage().choose([resting, other], exchange()) is other

    resting.credentials[0].rests_until = 0
    resting.health.use(resting.credentials[0]).rests_until = clock.now + 5
    assert Usage().choose([resting, other], exchange()) is other


def test_quotas_are_used_up_alike(clock: Clock) -> None:
    """Whoever has three times the quota gets three times the calls."""
    given = [limited(clock, name, (0, 0)) for name in "abc"]
    given[0].credentials[0].requests = Ceiling(300)
    for _ in range(250):
        requests = Usage().choose(given, exchange()).credentials[0].requests
        assert requests is not None
        requests.take(clock.now)

    left = [one.credentials[0].left(clock.now) for one in given]
    assert left == pytest.approx([0.5, 0.5, 0.5], abs=0.03)


def test_without_limits_the_load_decides() -> None:
    """Nobody is nearer to a quota than the other."""
    given = [deployment("a"), deployment("b")]
    given[0].health.busy = 1

    assert Usage().choose(given, exchange()) is given[1]


def test_it_says_what_is_left(clock: Clock) -> None:
    """As a share of the quota."""
    assert Usage().score(limited(clock, "a", (25, 0)), exchange()) == (
        "75% of its quota left, 0 in flight"
    )
    assert Usage().score(deployment("b"), exchange()) == "no known limit, 0 in flight"

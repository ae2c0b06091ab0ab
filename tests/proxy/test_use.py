"""A call of a deployment: what it holds is given back, and whoever is to blame learns."""

from __future__ import annotations

import math
import random

import pytest

from proxy.breaker import BreakerRules
from proxy.ceilings import Ceiling
from proxy.concurrency import Adaptive
from proxy.credentials import Credential
from proxy.deployments import Deployment
from proxy.errors import (
    Failure,
    GatewayError,
    NoDeployment,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from proxy.exchange import Attempt
from proxy.remedies import REMEDIES
from proxy.use import Use
from proxy.wire import Usage
from tests.fakes import deployment, unit

RULES = BreakerRules(failures=3, open_s=10, open_most_s=40, slow_start_s=0)


def place(*credentials: Credential, rules: BreakerRules = RULES) -> Deployment:
    """Return a deployment with these credentials."""
    given = unit("p", 100, credentials=credentials)
    given.rules = rules
    return deployment("p", unit=given, model="m")


def call(given: Deployment, now: float, error: GatewayError | None = None, **known: object) -> Use:
    """Make a call that ends at once."""
    use = Use(given, now)
    attempt = Attempt("p", "m", result="ok" if error is None else error.code, **known)  # type: ignore[arg-type]
    use.end(now, attempt, error, stream=True)
    return use


def refused(status: int, retry_after_s: float | None = None) -> UpstreamAuth:
    return UpstreamAuth("x", upstream_status=status, retry_after_s=retry_after_s)


def classed(failure: Failure) -> GatewayError:
    error = UpstreamRejected("x")
    error.failure = failure
    return error


def test_failures_in_a_row_open_the_circuit_and_a_probe_closes_it() -> None:
    """While it is open nobody calls; then one does, and the others wait for its end."""
    given = place()
    for _ in range(3):
        call(given, 0, UpstreamFailed("x"))
    with pytest.raises(NoDeployment):
        Use(given, 1)

    probe = Use(given, 11)
    with pytest.raises(NoDeployment):
        Use(given, 11)
    probe.end(12, Attempt("p", "m", result="ok"), None, stream=True)
    call(given, 12)
    assert given.health.breaker.state == "closed"


@pytest.mark.parametrize(
    "failure",
    [name for name, remedy in REMEDIES.items() if remedy.blame != "deployment"],
)
def test_only_the_vendors_own_failures_count_for_its_circuit(failure: Failure) -> None:
    """No client's mistake, no limit, no refused credential opens it."""
    given = place(*(Credential(str(n), str(n)) for n in range(9)))
    for _ in range(5):
        call(given, 0, classed(failure))

    assert given.health.breaker.state == "closed"


def test_a_client_that_leaves_gives_the_probe_back() -> None:
    """Otherwise the circuit would stay half-open for ever."""
    given = place()
    for _ in range(3):
        call(given, 0, UpstreamFailed("x"))
    Use(given, 11).end(11, Attempt("p", "m", result="cancelled"), None, stream=True)

    call(given, 11)
    assert (given.health.breaker.state, given.health.busy) == ("closed", 0)


def test_a_refused_credential_is_dead_until_a_probe_succeeds() -> None:
    """With a 401 at once; others are used meanwhile; after a while one call finds out."""
    bad, good = Credential("1", "bad"), Credential("2", "good")
    given = place(bad, good)
    given.health.use(bad).life.opened(0, 5)
    assert {call(given, 1).credential.name for _ in range(50)} == {"good"}

    alone = place(only := Credential("1", "only"))
    call(alone, 0, refused(401))
    assert alone.wait_s(1) == math.inf
    with pytest.raises(NoDeployment):
        Use(alone, 1)
    probe = Use(alone, 6)
    assert alone.wait_s(6) == math.inf, "one probe at a time"
    probe.end(6, Attempt("p", "m", result="ok"), None, stream=True)
    assert alone.wait_s(6) == 0
    assert only not in alone.health.uses


def test_a_403_kills_a_credential_only_when_it_comes_again_and_again() -> None:
    """One prompt that a firewall refuses must not take a credential from everybody."""
    given = place(Credential("1", "one"))
    call(given, 0, refused(403))
    call(given, 0, refused(403))
    call(given, 0)
    call(given, 0, refused(403))
    assert given.wait_s(0) == 0
    call(given, 0, refused(403))
    call(given, 0, refused(403))
    assert given.wait_s(0) == math.inf


def test_a_rate_limit_rests_a_credential_for_one_model_and_a_quota_for_all() -> None:
    """Vendors limit by model; what is owed, they want for everything."""
    one = Credential("1", "one")
    given = place(one)
    other = deployment("p", unit=given.unit, model="other")
    call(given, 0, UpstreamRateLimited("x", retry_after_s=20))
    assert (given.wait_s(5), other.wait_s(5)) == (15, 0)

    spent = UpstreamRateLimited("x", retry_after_s=30)
    spent.failure = "quota"
    call(other, 10, spent)
    assert (given.wait_s(10), other.wait_s(10)) == (30, 30)


def test_rate_limits_without_a_word_rest_ever_longer() -> None:
    """By the deployment's own backoff, up to its longest; a good answer forgets them."""
    given = place(Credential("1", "one"))
    rests = []
    for _ in range(6):
        call(given, 0, UpstreamRateLimited("x"))
        rests.append(given.wait_s(0))
        given.health.use(given.credentials[0]).rests_until = 0
    assert rests == [1, 2, 4, 8, 8, 8]

    call(given, 1)
    call(given, 1, UpstreamRateLimited("x"))
    assert given.wait_s(1) == 1


def test_a_known_ceiling_is_never_exceeded() -> None:
    """Calls beyond it are not even sent; the tokens used in truth are what counts."""
    one = Credential("1", "one")
    one.requests, one.tokens = Ceiling(2), Ceiling(1000)
    given = place(one)
    call(given, 0)
    call(given, 1)
    assert given.wait_s(2) == pytest.approx(58, abs=1)
    with pytest.raises(UpstreamRateLimited) as told:
        Use(given, 2)
    assert told.value.failure == "unsent"

    one.requests = None
    use = Use(given, 100, tokens=10)
    used = Usage(input_tokens=600, output_tokens=300)
    use.end(100, Attempt("p", "m", result="ok", usage=used), None, stream=True)
    assert given.wait_s(101, 50) == 0
    assert given.wait_s(101, 200) > 50


def test_a_moving_limit_follows_rate_limits_and_time_outs() -> None:
    """It shrinks with both, and a credential with room is preferred."""
    for error in (UpstreamRateLimited("x", retry_after_s=0.0), UpstreamTimeout("first_token", 1)):
        one, two = Credential("1", "one"), Credential("2", "two")
        one.adaptive, two.adaptive = Adaptive(1, 10), Adaptive(1, 10)
        given = place(one, two)
        use = Use(given, 0)
        use.end(100, Attempt("p", "m"), error, stream=True)
        assert use.credential.adaptive is not None
        assert use.credential.adaptive.limit < 10

    one.adaptive, two.adaptive = Adaptive(1, 1), Adaptive(1, 10)
    one.busy = 1
    assert {call(given, 200).credential.name for _ in range(30)} == {"two"}


def test_what_is_learnt_of_speed() -> None:
    """First tokens of streams, tokens a second after that, and how long answers are."""
    given = place()
    given.health.learns = True
    use = Use(given, 0)
    attempt = Attempt("p", "m", result="ok", usage=Usage(output_tokens=100), first_token_s=2)
    use.end(7, attempt, None, stream=True)

    health = given.health
    assert health.latency_s(7, stream=True) == 2
    assert health.speed.value() == 20
    assert health.output_tokens.value() == 100


@pytest.mark.parametrize("seed", range(20))
def test_nothing_leaks_whatever_ends_a_call(seed: int) -> None:
    """Any number of calls in any order, with any end: afterwards nothing is held."""
    dice = random.Random(seed)
    keys = [Credential(str(n), str(n)) for n in range(3)]
    given = place(*keys, rules=BreakerRules(failures=2, open_s=1, open_most_s=2))
    errors: list[GatewayError | None] = [None, UpstreamFailed("x"), refused(401), refused(403)]
    errors += [UpstreamRateLimited("x", retry_after_s=1), UpstreamRejected("x")]
    now, under_way = 0.0, []
    for _ in range(300):
        now += dice.random()
        if under_way and dice.random() < 0.5:
            use = under_way.pop(dice.randrange(len(under_way)))
            result = dice.choice(["ok", "cancelled", "lost"])
            error = dice.choice(errors)
            use.end(now, Attempt("p", "m", result=result), error, stream=False)
            continue
        try:
            under_way.append(Use(given, now))
        except GatewayError:
            continue
    for use in under_way:
        use.end(now, Attempt("p", "m", result="cancelled"), None, stream=False)

    assert given.health.busy == 0
    assert [key.busy for key in keys] == [0, 0, 0]
    later = now + 10_000
    Use(given, later).end(later, Attempt("p", "m", result="ok"), None, stream=False)
    assert given.health.breaker.state == "closed"

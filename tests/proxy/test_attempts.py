"""What is tried for one exchange, in which order, and when it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from proxy.adapter import Adapter
from proxy.attempts import Attempts
from proxy.config.structs import Retries
from proxy.credentials import Credential
from proxy.deployments import Deployment, Price
from proxy.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    GatewayError,
    InternalError,
    NoDeployment,
    QueueFull,
    QueueTimeout,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTruncated,
)
from proxy.exchange import Attempt
from proxy.routing.table import Route
from proxy.use import Use
from tests.fakes import deployment, exchange, route, unit

MANY = 100


def course(
    given: Route, *errors: GatewayError, limit: int = MANY, now: float = 0.0
) -> tuple[list[Deployment], GatewayError | None]:
    """Fail each attempt, with the last error for ever; return what was tried and what is told."""
    attempts = Attempts(given, "m", exchange(), limit)
    tried: list[Deployment] = []
    try:
        for turn in range(10 * MANY):
            chosen = attempts.next(now).deployment
            tried.append(chosen)
            attempts.failed(chosen, errors[min(turn, len(errors) - 1)])
    except GatewayError as error:
        return tried, error
    raise AssertionError("it never ends")


def broken() -> GatewayError:
    return UpstreamFailed("broken")


def full(given: Deployment) -> Deployment:
    """Fill a deployment's provider to the last place."""
    given.unit.busy = given.unit.workers
    assert given.unit.full
    return given


def test_every_deployment_is_tried_before_any_is_tried_again() -> None:
    """Another one may be well; the same one probably is not yet."""
    a, b, c = deployment("a"), deployment("b"), deployment("c")
    tried, error = course(route(a, b, c), broken(), limit=5)

    assert tried == [a, b, c, a, b]
    assert isinstance(error, UpstreamFailed)


def test_fallbacks_come_after_the_routes_own_and_before_repeats() -> None:
    """In the order of the configuration."""
    a, b, c, d = (deployment(name) for name in "abcd")
    given = route(a, b, fallbacks=[route(c), route(d, a)])

    assert course(given, broken(), limit=5)[0] == [a, b, c, d, a]


def test_the_budget_covers_everything() -> None:
    """Retries and fallbacks together."""
    a, b, c = deployment("a"), deployment("b"), deployment("c")

    for limit in (1, 2, 3):
        assert len(course(route(a, fallbacks=[route(b, c)]), broken(), limit=limit)[0]) == limit


def test_the_first_cause_is_told() -> None:
    """The later ones only followed."""
    first, second = UpstreamFailed("first"), UpstreamTimeout("first_token", 1)

    assert course(route(deployment("a"), deployment("b")), first, second, limit=2)[1] is first


@pytest.mark.parametrize(
    "error",
    [UpstreamRejected("x"), ContentFiltered("x"), ContextLengthExceeded("x"), InternalError("x")],
    ids=lambda error: error.code,
)
def test_what_would_fail_everywhere_ends_it_at_once(error: GatewayError) -> None:
    """Nobody else would answer otherwise."""
    a, b = deployment("a"), deployment("b")

    assert course(route(a, fallbacks=[route(b)]), error) == ([a], error)


def test_a_later_refusal_is_told_itself() -> None:
    """It says what the client can change."""
    refused = UpstreamRejected("wrong")

    assert course(route(deployment("a"), deployment("b")), broken(), refused)[1] is refused


@pytest.mark.parametrize(
    "error",
    [
        UpstreamFailed("x"),
        UpstreamTimeout("connect", 1),
        UpstreamTruncated("x"),
        UpstreamRateLimited("x"),
    ],
    ids=lambda error: error.code,
)
def test_a_single_deployment_is_tried_again_after_a_jittered_pause(error: GatewayError) -> None:
    """Never longer than the doubled backoff, nor than its bound."""
    only = deployment(retries=Retries(attempts=9, backoff=1, backoff_max=3))
    ceilings = []
    for _ in range(50):
        only.unit.repeats.earn(100)
        attempts = Attempts(route(only), "m", exchange(), 4)
        pauses = []
        for _ in range(4):
            choice = attempts.next(0)
            attempts.failed(choice.deployment, error)
            pauses.append(choice.pause_s)
        ceilings.append(pauses)

    highest = [max(column) for column in zip(*ceilings, strict=True)]
    assert highest[0] == 0
    assert 0 < highest[1] <= 2
    assert all(0 < pause <= 3 for pause in highest[2:])


def test_a_refused_credential_is_not_tried_again() -> None:
    """The next deployment may have another; this one will say the same."""
    a, b = deployment("a"), deployment("b")

    assert course(route(a, b), UpstreamAuth("x"))[0] == [a, b]


def limited(given: Deployment, retry_after_s: float, now: float = 0.0) -> None:
    """Let a vendor say that a deployment has to rest."""
    error = UpstreamRateLimited("x", retry_after_s=retry_after_s)
    Use(given, now).end(now, Attempt("p", "m"), error, stream=False)


def test_a_vendors_wait_is_obeyed() -> None:
    """Until then the deployment rests; other exchanges avoid it too."""
    a, b = deployment("a"), deployment("b")
    limited(a, 20, now=100)

    assert Attempts(route(a, b), "m", exchange(), MANY).next(119).deployment is b
    assert Attempts(route(a, b), "m", exchange(), MANY).next(120).deployment is a


def test_a_vendors_wait_is_bounded() -> None:
    """A mistake of theirs does not take it out for a day."""
    a = deployment("a")
    limited(a, 1e9, now=100)

    assert (a.wait_s(399), a.wait_s(400)) == (1, 0)


def test_a_repeat_waits_for_the_vendors_wait_or_is_left() -> None:
    """Never sooner; and a long one is for the client to decide."""
    a = deployment("a")
    error = UpstreamRateLimited("x", retry_after_s=5)
    attempts = Attempts(route(a), "m", exchange(), MANY)
    attempts.failed(attempts.next(0).deployment, error)
    limited(a, 5)
    assert attempts.next(1).pause_s >= 4
    b = deployment("b")
    limited(b, 60)
    late = UpstreamRateLimited("x", retry_after_s=60)

    attempts = Attempts(route(b), "m", exchange(), MANY)
    attempts.failed(b, late)
    with pytest.raises(UpstreamRateLimited) as told:
        attempts.next(1)
    assert told.value is late


def test_a_resting_deployment_comes_after_the_fallbacks() -> None:
    """It is left alone while anybody else can serve."""
    a, b = deployment("a"), deployment("b")
    limited(a, 50)

    chosen = Attempts(route(a, fallbacks=[route(b)]), "m", exchange(), MANY).next(0)
    assert (chosen.deployment, chosen.reason) == (b, "fallback r")


def test_a_short_rest_is_waited_for_and_a_long_one_told_at_once() -> None:
    """The client waits a moment, or learns the true rest of the wait; the vendor is left alone."""
    a = deployment("a")
    limited(a, 50)

    with pytest.raises(UpstreamRateLimited) as told:
        Attempts(route(a), "m", exchange(), MANY).next(10)
    assert told.value.retry_after_s == 40
    assert Attempts(route(a), "m", exchange(), MANY).next(45).pause_s == 5


def test_a_rest_past_the_deadline_is_not_waited_for() -> None:
    """Nobody would be there to take the answer."""
    a = deployment("a")
    limited(a, 5)
    asked = exchange()
    asked.deadline = 3.0

    with pytest.raises(UpstreamRateLimited):
        Attempts(route(a), "m", asked, MANY).next(0)


def test_a_spent_quota_goes_to_the_routes_for_it_first() -> None:
    """Also where it is known before anything was tried."""
    a, b, c = (deployment(name) for name in "abc")
    given = route(a, fallbacks=[route(b)], quota_fallbacks=[route(c)])
    spent = UpstreamRateLimited("x", retry_after_s=60)

    assert course(given, spent, broken(), limit=3)[0] == [a, c, b]
    assert course(given, broken(), limit=2)[0] == [a, b]
    limited(a, 60)
    assert Attempts(given, "m", exchange(), MANY).next(0).deployment is c


def test_what_a_filter_refused_goes_to_the_routes_for_it_alone() -> None:
    """The others would refuse it the same way."""
    a, b, c = (deployment(name) for name in "abc")
    given = route(a, b, fallbacks=[route(b)], content_fallbacks=[route(c)])
    refusal = ContentFiltered("no")

    assert course(given, refusal) == ([a, c], refusal)


def test_another_credential_is_tried_before_another_deployment() -> None:
    """The same model answers, and its prompt cache is warm."""
    keys = [Credential("1", "one"), Credential("2", "two")]
    a, b = deployment("a", unit=unit("a", 5, credentials=keys)), deployment("b")
    asked = exchange()
    attempts = Attempts(route(a, b), "m", asked, MANY)
    assert attempts.next(0).deployment is a
    use = Use(a, 0)
    asked.attempts.append(Attempt("a", "m", credential=use.credential.name, failure="rate_limit"))
    error = UpstreamRateLimited("x", retry_after_s=60)
    use.end(0, asked.attempts[0], error, stream=False)
    attempts.failed(a, error)

    choice = attempts.next(0)
    assert (choice.deployment, choice.reason) == (a, "other credential")
    other = Use(a, 0)
    assert other.credential is not use.credential
    other.end(0, Attempt("a", "m"), error, stream=False)
    attempts.failed(a, error)
    assert attempts.next(0).deployment is b


def test_a_model_that_is_gone_is_looked_for_elsewhere() -> None:
    """A 404 of one vendor is no mistake of the client's while another has it."""
    a, b = deployment("a"), deployment("b")
    gone = UpstreamRejected("no such model")
    gone.failure = "model_gone"

    assert course(route(a, b), gone, broken(), limit=2)[0] == [a, b]
    tried, told = course(route(a), gone)
    assert (tried, told) == ([a], gone)


def test_the_budget_of_money_ends_it() -> None:
    """A prompt of a million tokens is not sent three times, whatever the attempts allow."""
    dear = Retries(attempts=9, cost=2_000_000)
    price = Price(input=1_000_000, output=0, cached=0)
    given = [deployment(name, retries=dear, price=price) for name in "abcde"]
    asked = exchange(b'{"model":"m","messages":"%s"}' % (b"x" * 4_000_000))
    attempts = Attempts(route(*given), "m", asked, MANY)
    for _ in range(2):
        attempts.failed(attempts.next(0).deployment, broken())

    with pytest.raises(UpstreamFailed):
        attempts.next(0)


def test_a_long_prompt_goes_to_the_routes_for_long_prompts() -> None:
    """And nowhere else: the fallbacks are no longer than the route."""
    a, b, c, d = (deployment(name) for name in "abcd")
    given = route(a, b, fallbacks=[route(c)], context_fallbacks=[route(d)])
    error = ContextLengthExceeded("too long")

    assert course(given, error) == ([a, d], error)


def test_after_a_long_prompt_no_short_deployment_is_tried_again() -> None:
    """It has been learnt that the prompt does not fit there."""
    a, b, d = (deployment(name) for name in "abd")
    given = route(a, b, context_fallbacks=[route(d)])
    tried, _ = course(given, broken(), ContextLengthExceeded("x"), broken(), limit=6)

    assert tried[:3] == [a, b, d]
    assert set(tried[3:]) <= {d}


def test_routes_for_long_prompts_in_a_circle_end() -> None:
    """Each deployment is tried once."""
    a, b = deployment("a"), deployment("b")
    one, other = route(a), route(b)
    one.context_fallbacks, other.context_fallbacks = [other], [one]

    assert course(one, ContextLengthExceeded("x"))[0] == [a, b]


@pytest.mark.parametrize(
    "error", [QueueFull("x"), QueueTimeout("x"), NoDeployment("x")], ids=lambda error: error.code
)
def test_what_was_never_sent_costs_no_attempt(error: GatewayError) -> None:
    """The budget is for calls to vendors."""
    a, b, c = deployment("a"), deployment("b"), deployment("c")
    tried, told = course(route(a, b, c), error, error, broken(), limit=1)

    assert tried == [a, b, c]
    assert told is not None


def test_full_queues_again_and_again_end() -> None:
    """Nobody goes around in a circle of providers that refuse."""
    a, b = deployment("a"), deployment("b")

    assert course(route(a, b, fallbacks=[route(b, a)]), QueueFull("x"), limit=1)[0] == [a, b]
    assert course(route(a, b), broken(), QueueFull("x"), limit=3)[0] == [a, b, a]


def test_a_full_provider_is_passed_over() -> None:
    """There is another one that can serve."""
    a, b = full(deployment("a")), deployment("b")

    assert course(route(a, b), broken(), limit=1)[0] == [b]
    assert course(route(a, fallbacks=[route(b)]), broken(), limit=1)[0] == [b]


def test_full_providers_everywhere_are_told_with_the_shortest_wait() -> None:
    """Each queue decides itself; the client comes back when the first of them has room."""
    a, b = full(deployment("a")), full(deployment("b"))
    tried, error = course(
        route(a, b), QueueFull("x", retry_after_s=30), QueueFull("x", retry_after_s=7)
    )

    assert tried == [a, b]
    assert isinstance(error, QueueFull)
    assert error.retry_after_s == 7


def test_only_those_are_tried_whose_adapter_serves_the_operation() -> None:
    """And where there is none, it is said which operation it was."""
    mute = cast(Adapter, SimpleNamespace(operations={}))
    a, b = deployment("a", adapter=mute), deployment("b")

    assert course(route(a, b), broken(), limit=1)[0] == [b]
    tried, error = course(route(a), broken())
    assert tried == []
    assert isinstance(error, NoDeployment)
    assert "'r'" in error.message
    assert "chat" in error.message


def test_a_route_without_deployments_says_so() -> None:
    """It is a mistake of the configuration, not of the client."""
    assert isinstance(course(route(), broken())[1], NoDeployment)


def test_repeats_stay_within_a_tenth_of_the_load() -> None:
    """One provider, one deployment, all calls fail."""
    only = deployment("a")
    calls = sum(len(course(route(only), broken(), limit=3)[0]) for _ in range(300))

    assert calls <= 300 * 1.1 + 3


def test_deployments_of_one_provider_share_its_tenth() -> None:
    """A first attempt on another provider is no repeat; on the same provider it is."""
    same = unit("p", workers=5)
    three = [deployment(name, unit=same, model=name) for name in "abc"]
    calls = sum(len(course(route(*three), broken(), limit=3)[0]) for _ in range(300))

    assert calls <= 300 * 1.1 + 3


def test_what_was_never_sent_earns_no_repeats() -> None:
    """The tenth is one of the load that reached the vendor."""
    a = deployment("a")
    for _ in range(1000):
        course(route(a), QueueFull("x"))

    assert sum(a.unit.repeats.take() for _ in range(1000)) <= 3

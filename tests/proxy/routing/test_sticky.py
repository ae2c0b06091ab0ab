"""Conversations stay together, until leaving pays."""

from __future__ import annotations

import copy
import random
from collections import Counter, defaultdict

import pytest

from proxy import registry
from proxy.deployments import Deployment, Price
from proxy.exchange import ClientKey, Exchange
from proxy.routing import sticky
from proxy.routing.sticky import Sticky, home
from tests.fakes import deployment, exchange
from tests.proxy.routing.fleet import Clock, Fleet, members

PRICE = Price(2_500_000, 10_000_000, 250_000)
LONG = 40_000  # bytes, about 10 000 tokens: worth 3.5 s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the strategies' clock."""
    random.seed(7)
    return Clock(monkeypatch)


def conversation(number: int, size: int = 20) -> Exchange:
    """Return an exchange of a conversation of its own."""
    content = b"%d " % number + b"word " * (size // 5)
    return exchange(b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % content)


def homes(given: list[Deployment], count: int = 3000) -> list[Deployment]:
    """Return where so many conversations belong."""
    keys = [sticky.KEYS["prefix"](conversation(number), "") for number in range(count)]
    return [home(given, key) for key in keys]


def test_a_conversation_stays_together() -> None:
    """Each of them, and all deployments have some."""
    given = members(5)
    strategy = Sticky()
    seen = defaultdict(set)
    for _ in range(4):
        for number in range(200):
            seen[number].add(strategy.choose(given, conversation(number)))

    assert all(len(places) == 1 for places in seen.values())
    assert len(set().union(*seen.values())) == 5


def test_two_processes_send_a_conversation_to_the_same_place() -> None:
    """Without a word between them."""
    given = members(5)

    assert [Sticky().choose(given, conversation(n)) for n in range(50)] == [
        Sticky().choose(given, conversation(n)) for n in range(50)
    ]


@pytest.mark.parametrize("weights", [(1, 1, 1, 1, 1), (3, 1), (1, 2, 3, 4)])
def test_weights_are_shares_of_the_conversations(weights: tuple[float, ...]) -> None:
    """However many deployments there are."""
    given = members(len(weights))
    for one, weight in zip(given, weights, strict=True):
        one.weight = weight
    seen = Counter(homes(given))

    for one in given:
        assert seen[one] / 3000 == pytest.approx(one.weight / sum(weights), abs=0.04)


def test_only_its_own_share_moves_when_one_goes_or_comes() -> None:
    """The caches of all others stay warm."""
    given = members(5)
    before, after = homes(given), homes(given[1:])

    for old, new in zip(before, after, strict=True):
        assert new is old or old is given[0]


@pytest.mark.parametrize("by", ["key", "session"])
def test_who_belongs_together_is_an_option(by: str) -> None:
    """Whatever is said."""
    given = members(5)
    strategy = Sticky(by=by, header="X-Conversation")
    places = defaultdict(set)
    for number in range(100):
        asked = conversation(number)
        who = f"{number % 10}"
        if by == "key":
            asked.key = ClientKey(who)
        else:
            asked.headers["x-conversation"] = who
        places[who].add(strategy.choose(given, asked))

    assert all(len(each) == 1 for each in places.values())
    assert len(set().union(*places.values())) > 1


def placed(size: int = LONG, **options: object) -> tuple[Sticky, Exchange, Deployment, Deployment]:
    """Return a strategy with a conversation, where that is, and another deployment."""
    given = [deployment("a", price=PRICE), deployment("b", price=PRICE)]
    strategy = registry.strategy("sticky", options)
    assert isinstance(strategy, Sticky)
    asked = conversation(1, size)
    here = strategy.choose(given, asked)
    there = given[0] if here is given[1] else given[1]
    return strategy, asked, here, there


@pytest.mark.parametrize(
    ("size", "slower_s", "stays"),
    [(LONG, 3.0, True), (LONG, 4.0, False), (400, 0.2, True), (400, 0.4, False)],
)
def test_it_leaves_when_waiting_costs_more_than_reading_anew(
    clock: Clock, size: int, slower_s: float, stays: bool
) -> None:
    """The longer the prompt, the more is waited for it."""
    strategy, asked, here, there = placed(size)
    there.health.observe(clock.now, 0.5, stream=False)
    here.health.observe(clock.now, 0.5 + slower_s, stream=False)

    assert (strategy.choose([here, there], asked) is here) is stays


def test_it_leaves_a_crowd(clock: Clock) -> None:
    """Later for a long prompt than for a short one."""
    left_at = {}
    for size in (400, LONG):
        strategy, asked, here, there = placed(size)
        for one in (here, there):
            one.health.observe(clock.now, 0.5, stream=False)
        while strategy.choose([here, there], asked) is here:
            here.health.busy += 1
        left_at[size] = here.health.busy

    assert 2 <= left_at[400] < 5 < left_at[LONG] < 20


def test_it_stays_where_it_went(clock: Clock) -> None:
    """Until leaving pays again: the cache is there now."""
    strategy, asked, here, there = placed()
    there.health.observe(clock.now, 0.5, stream=False)
    here.health.observe(clock.now, 9.0, stream=False)
    assert strategy.choose([here, there], asked) is there

    clock.now += 60
    here.health.observe(clock.now, 0.1, stream=False)
    assert strategy.choose([here, there], asked) is there


def test_it_never_leaves_who_is_told_not_to(clock: Clock) -> None:
    """As where the vendor keeps the conversation's state."""
    strategy, asked, here, there = placed(leave="never")
    here.health.observe(clock.now, 99.0, stream=False)
    there.health.observe(clock.now, 0.1, stream=False)
    here.health.busy = 50

    assert strategy.choose([here, there], asked) is here


def test_where_its_place_is_gone_it_goes_elsewhere_and_stays() -> None:
    """It is resting, full or has failed for this very exchange."""
    strategy, asked, here, there = placed()

    assert strategy.choose([there], asked) is there
    assert strategy.choose([here, there], asked) is there


def test_a_cold_cache_is_worth_nothing(clock: Clock) -> None:
    """Vendors forget a prompt after five minutes without use."""
    strategy, asked, here, there = placed()
    there.health.observe(clock.now, 0.5, stream=False)
    here.health.observe(clock.now, 1.5, stream=False)
    clock.now += 290
    here.health.observe(clock.now, 1.5, stream=False)
    assert strategy.choose([here, there], asked) is here

    clock.now += 310
    here.health.observe(clock.now, 1.5, stream=False)
    assert strategy.choose([here, there], asked) is there


def test_a_first_call_is_free_to_go_to_a_better_one(clock: Clock) -> None:
    """Not for a trifle, for another process may already have sent it home."""
    _, asked, here, there = placed()
    there.health.observe(clock.now, 0.5, stream=False)
    here.health.observe(clock.now, 0.6, stream=False)
    assert Sticky().choose([here, there], asked) is here

    here.health.observe(clock.now, 1.0, stream=False)
    assert Sticky().choose([here, there], asked) is there


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversation that was longest unused is forgotten first."""
    monkeypatch.setattr(sticky, "MOST_WARM", 10)
    given = members(3)
    strategy = Sticky()
    for number in range(20):
        strategy.choose(given, conversation(number))
        strategy.choose(given, conversation(0))
    remembered = [
        number
        for number in range(20)
        if any("last place" in strategy.score(one, conversation(number)) for one in given)
    ]

    assert remembered == [0, *range(11, 20)]


def test_a_copy_has_a_memory_of_its_own() -> None:
    """Who asks what would happen changes nothing."""
    strategy, _, here, there = placed()
    copy.copy(strategy).choose([here, there], conversation(2))

    for one in (here, there):
        assert strategy.score(one, conversation(2)).startswith("draws 0.")


def test_conversations_of_a_fleet_stay_together_while_a_slow_one_is_left(clock: Clock) -> None:
    """Five vendors; one becomes ten times slower, and later recovers."""
    given = members(5, price=PRICE)
    fleet = Fleet(clock, given, [0.5] * 5)
    strategy = Sticky()

    def ask(number: int) -> Exchange:
        return conversation(number % 60, LONG)

    report = fleet.run(strategy, 10.0, 1800, ask)
    assert _together(report.where, 60) > 0.95

    fleet.call_s[given[0]] = 5.0
    fleet.run(strategy, 10.0, 600, ask)
    report = fleet.run(strategy, 10.0, 1800, ask)
    assert report.share(given[0]) < 0.02
    assert _together(report.where, 60) > 0.9
    assert report.mean_s < 1.0


def _together(where: list[Deployment], conversations: int) -> float:
    """Return which part of the turns was served where the one before was."""
    turns = list(zip(where, where[conversations:], strict=False))
    return sum(one is other for one, other in turns) / len(turns)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "moon"}, "by takes key, session, prefix, not moon"),
        ({"warm": "long"}, "is not a duration"),
        ({"leave": {"pay": 1}}, "leave has no option pay"),
        ({"keep": 1}, "unknown option keep"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, object], said: str) -> None:
    """In a sentence for whoever wrote it."""
    with pytest.raises((TypeError, ValueError), match=said):
        registry.strategy("sticky", options)


def test_it_says_why(clock: Clock) -> None:
    """Where the conversation is and what that is worth, or what number each draws."""
    strategy, asked, here, there = placed()

    assert strategy.score(here, asked) == (
        "the conversation's last place, 10008 tokens perhaps still in the cache, "
        "worth 3.50 s of waiting"
    )
    assert strategy.score(there, asked).startswith("draws 0.")
    assert placed(leave="never")[0].score(here, asked).startswith("draws 0.")
    clock.now += 400
    assert strategy.score(here, asked).startswith("draws 0.")

"""A waiting line that is fair among tenants."""

from __future__ import annotations

import copy
import random
import tracemalloc
from collections import Counter
from fractions import Fraction
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.fairness import FairLine

WEIGHTS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 0.5}
TENANTS = st.sampled_from(sorted(WEIGHTS))


class Item:
    """A call; only its identity matters, as with a future."""

    def __init__(self, tenant: str, number: int = 0) -> None:
        self.tenant = tenant
        self.number = number

    def __repr__(self) -> str:
        return f"{self.tenant}{self.number}"


class Plain:
    """The rule written down without any thought of speed, for one class."""

    def __init__(self) -> None:
        self.clock = Fraction(0)
        self.starts: dict[str, Fraction] = {}
        self.waiting: list[Item] = []

    def push(self, item: Item) -> None:
        if all(other.tenant != item.tenant for other in self.waiting):
            self.starts[item.tenant] = max(self.clock, self.starts.get(item.tenant, self.clock))
        self.waiting.append(item)

    def pop(self) -> Item:
        heads: dict[str, Item] = {}
        for item in self.waiting:
            heads.setdefault(item.tenant, item)
        chosen = min(heads.values(), key=lambda item: (self.starts[item.tenant], item.number))
        self.clock = self.starts[chosen.tenant]
        self.starts[chosen.tenant] += 1 / Fraction(WEIGHTS[chosen.tenant])
        self.remove(chosen)
        return chosen

    def remove(self, item: Item) -> None:
        self.waiting.remove(item)
        if not self.waiting:
            self.starts.clear()


def push(line: FairLine[Item], tenant: str, number: int = 0, priority: int = 5) -> Item:
    item = Item(tenant, number)
    line.push(item, tenant, priority, WEIGHTS.get(tenant, 1.0))
    return item


def drain(line: FairLine[Item]) -> list[Item]:
    return [line.pop() for _ in range(len(line))]


def tenants(items: list[Item]) -> str:
    return "".join(item.tenant for item in items)


@pytest.mark.parametrize(
    ("pushed", "served"),
    [
        ("xyz", "xyz"),
        ("xxxy", "xyxx"),
        ("xxxxyyz", "xyzxyxx"),
        ("aabbbb", "abbabb"),
        ("aaccc", "accca"),
        ("ddaa", "daad"),
    ],
)
def test_tenants_take_turns_by_weight(pushed: str, served: str) -> None:
    """However many calls one of them has waiting, and whoever came first."""
    line: FairLine[Item] = FairLine()
    for tenant in pushed:
        push(line, tenant)

    assert tenants(drain(line)) == served


def test_a_tenants_own_calls_stay_in_order() -> None:
    """First come, first served."""
    line: FairLine[Item] = FairLine()
    for number in range(20):
        push(line, "xyx"[number % 3], number)

    served = drain(line)
    assert all(
        [i.number for i in served if i.tenant == t]
        == sorted(i.number for i in served if i.tenant == t)
        for t in "xy"
    )


def test_a_higher_class_is_served_first() -> None:
    """Whatever waits in the lower ones, and since when."""
    line: FairLine[Item] = FairLine()
    for number, priority in enumerate((0, 5, 9, 5, 0, 9)):
        push(line, "x", number, priority)

    assert [item.number for item in drain(line)] == [2, 5, 1, 3, 0, 4]


@pytest.mark.parametrize("priority", [-1, 10])
def test_there_are_ten_classes(priority: int) -> None:
    """0 to 9."""
    with pytest.raises(ValueError, match="0 to 9"):
        push(FairLine(), "x", priority=priority)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_a_weight_is_above_zero(weight: float) -> None:
    """One of zero would never be served."""
    with pytest.raises(ValueError, match="more than 0"):
        FairLine[str]().push("call", "x", 5, weight)


@pytest.mark.parametrize("weight", [1e-9, 1e12, float("inf")])
def test_any_weight_above_zero_will_do(weight: float) -> None:
    """The line neither overflows nor stands still."""
    line: FairLine[str] = FairLine()
    for number in range(3):
        line.push(f"x{number}", "x", 5, weight)
        line.push(f"y{number}", "y", 5, 1.0)

    assert len({line.pop() for _ in range(6)}) == 6


def test_an_empty_line_gives_nothing() -> None:
    """It is false, has no length, and nothing can be taken out."""
    line: FairLine[Item] = FairLine()
    item = push(line, "x")
    assert (bool(line), len(line), line.pop()) == (True, 1, item)

    assert (bool(line), len(line), line.remove(item)) == (False, 0, False)
    assert line.displace("x", 5, 1.0) is None
    with pytest.raises(IndexError):
        line.pop()


def test_a_tenant_with_fifty_times_the_load_gets_no_more_than_its_share() -> None:
    """Nine others that ask for their tenth get it, whatever the tenth one asks for."""
    chance, line, served = random.Random(7), FairLine[Item](), Counter[str]()
    others = [f"t{number}" for number in range(9)]
    for _ in range(20_000):
        for _ in range(5):
            push(line, "hog")
        for tenant in others:
            if chance.random() < 0.1:
                push(line, tenant)
        served[line.pop().tenant] += 1

    waiting = Counter(item.tenant for item in drain(line))
    assert served["hog"] <= 20_000 / 10 * 1.1
    assert all(served[tenant] >= 1800 for tenant in others)
    assert all(waiting[tenant] <= 200 for tenant in others)


def test_who_was_away_is_owed_nothing() -> None:
    """After a hundred calls of another it takes turns, and does not get a hundred in a row."""
    line: FairLine[Item] = FairLine()
    for _ in range(200):
        push(line, "x")
    for _ in range(100):
        line.pop()
    for _ in range(10):
        push(line, "y")

    assert tenants([line.pop() for _ in range(20)]) in ("xy" * 10, "yx" * 10)


def test_who_comes_back_at_once_has_not_been_forgotten() -> None:
    """One with a single call at a time gets no more for it than one with many."""
    line: FairLine[Item] = FairLine()
    for _ in range(50):
        push(line, "x")
    push(line, "y")
    served = []
    for _ in range(60):
        served.append(line.pop())
        if served[-1].tenant == "y":
            push(line, "y")

    assert abs(tenants(served).count("x") - 30) <= 1


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), TENANTS),
        st.tuples(st.just("pop"), st.just(0)),
        st.tuples(st.just("remove"), st.integers(0, 30)),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(OPERATIONS)
def test_every_course_of_events_follows_the_rule(operations: list[tuple[str, str | int]]) -> None:
    """Taking some out changes nothing for the others but that they come sooner."""
    line, plain, numbers = FairLine[Item](), Plain(), count(1)
    for name, argument in operations:
        if name == "push":
            plain.push(push(line, str(argument), next(numbers)))
        elif plain.waiting and name == "pop":
            assert line.pop() is plain.pop()
        elif plain.waiting:
            item = plain.waiting[int(argument) % len(plain.waiting)]
            plain.remove(item)
            assert line.remove(item) is True
            assert line.remove(item) is False
        assert len(line) == len(plain.waiting)
    while plain.waiting:
        assert line.pop() is plain.pop()
    assert not line


@settings(deadline=None)
@given(OPERATIONS, st.sampled_from([3, 5, 7]))
def test_how_many_are_ahead_is_told_exactly(
    operations: list[tuple[str, str | int]], priority: int
) -> None:
    """As long as nobody else comes."""
    line, waiting, numbers = FairLine[str](), list[str](), count(1)
    for name, argument in operations:
        if name == "push":
            waiting.append(f"{argument}{next(numbers)}")
            line.push(
                waiting[-1], str(argument), (5, 5, 7)[len(waiting) % 3], WEIGHTS[str(argument)]
            )
        elif waiting and name == "pop":
            waiting.remove(line.pop())
        elif waiting:
            line.remove(waiting.pop(int(argument) % len(waiting)))
        for tenant in "ac":
            told = line.ahead(tenant, priority, WEIGHTS[tenant])
            tried = copy.deepcopy(line)
            tried.push("new", tenant, priority, WEIGHTS[tenant])
            assert [tried.pop() for _ in range(told + 1)][-1] == "new"


@settings(deadline=None)
@given(st.lists(st.one_of(TENANTS, st.integers(0, 50)), min_size=1, max_size=300))
def test_while_two_wait_neither_gets_ahead_by_more_than_a_call(course: list[str | int]) -> None:
    """The bound of the paper: by weight, their calls differ by at most one of each."""
    line, waiting = FairLine[Item](), list[Item]()
    for tenant in "ab" * 300:
        waiting.append(push(line, tenant))
    served, chance = Counter[str](), random.Random(3)
    for step in course:
        if isinstance(step, str):
            push(line, step)
        elif step % 5 == 0:
            line.remove(waiting.pop(chance.randrange(len(waiting))))
        else:
            taken = line.pop()
            served[taken.tenant] += 1
            if taken in waiting:
                waiting.remove(taken)

    assert abs(served["a"] / WEIGHTS["a"] - served["b"] / WEIGHTS["b"]) <= 1 + 1 / 2


def test_what_left_leaves_nothing_behind() -> None:
    """Tens of thousands that came and gave up cost no memory while one waits on."""
    line: FairLine[Item] = FairLine()
    push(line, "stays")
    sizes = []
    tracemalloc.start()
    for number in range(40_000):
        line.remove(push(line, f"t{number}"))
        line.remove(push(line, "comes again"))
        if number % 20_000 == 1_000:
            sizes.append(tracemalloc.get_traced_memory()[0])
    sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    assert max(sizes) < 100_000
    assert len(line) == 1


def test_served_tenants_are_forgotten_in_the_end() -> None:
    """Also where the line never is empty."""
    line: FairLine[Item] = FairLine()
    push(line, "x")
    tracemalloc.start()
    for number in range(20_000):
        push(line, f"t{number}")
        line.pop()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert size < 100_000


@pytest.mark.parametrize(
    ("waiting", "tenant", "priority", "gone"),
    [
        ([], "x", 5, None),
        ([("x", 5), ("y", 5)], "z", 5, None),
        ([("x", 5), ("x", 5)], "y", 5, 1),
        ([("x", 5), ("x", 5)], "x", 5, None),
        ([("x", 5), ("x", 5), ("y", 5)], "y", 5, None),
        ([("x", 5), ("x", 5), ("x", 5), ("y", 5)], "y", 5, 2),
        ([("x", 5), ("y", 5), ("y", 5), ("x", 5)], "z", 5, 3),
        ([("x", 5), ("x", 5), ("x", 5)], "y", 4, None),
        ([("x", 4), ("y", 4), ("x", 5)], "x", 5, 1),
        ([("x", 4), ("y", 0), ("x", 3)], "x", 9, 1),
        ([("x", 9), ("y", 9)], "x", 0, None),
        ([("b", 5), ("b", 5), ("b", 5)], "a", 5, 2),
        ([("b", 5), ("b", 5)], "a", 5, None),
        ([("d", 5), ("b", 5), ("b", 5), ("b", 5)], "a", 5, 3),
    ],
)
def test_a_full_line_takes_from_who_has_most(
    waiting: list[tuple[str, int]], tenant: str, priority: int, gone: int | None
) -> None:
    """First from lower classes, then from a tenant with more; the newest call goes."""
    line: FairLine[Item] = FairLine()
    items = [push(line, owner, 0, level) for owner, level in waiting]

    assert line.displace(tenant, priority, WEIGHTS.get(tenant, 1.0)) is (
        None if gone is None else items[gone]
    )
    assert len(line) == len(items) - (gone is not None)


@settings(deadline=None)
@given(st.lists(TENANTS, max_size=200), st.integers(1, 12))
def test_displacing_never_helps_over_a_fair_share(arriving: list[str], places: int) -> None:
    """Who gives has no less than who gets, even afterwards, by weight."""
    line, held = FairLine[Item](), Counter[str]()
    for tenant in arriving:
        if len(line) >= places:
            gone = line.displace(tenant, 5, WEIGHTS[tenant])
            if gone is None:
                continue
            held[gone.tenant] -= 1
            assert gone.tenant != tenant
            left = held[gone.tenant] / WEIGHTS[gone.tenant]
            assert left >= (held[tenant] + 1) / WEIGHTS[tenant] - 1e-6
        push(line, tenant)
        held[tenant] += 1

    assert Counter(item.tenant for item in drain(line)) == +held


def test_a_full_line_comes_to_be_shared() -> None:
    """One that filled it alone keeps a third once two others have come with as much."""
    line: FairLine[Item] = FairLine()
    for number in range(90):
        push(line, "x", number)
    for number in range(300):
        tenant = "xyz"[number % 3]
        if line.displace(tenant, 5, 1.0) is not None:
            push(line, tenant, 100 + number)

    left = drain(line)
    assert Counter(item.tenant for item in left) == {"x": 30, "y": 30, "z": 30}
    kept = [item.number for item in left if item.tenant == "x"]
    assert all(later == earlier + 1 for earlier, later in pairwise(kept))
    assert kept[0] == 0

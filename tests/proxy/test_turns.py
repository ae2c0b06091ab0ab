"""Which other route serves an exchange: by conditions, then by shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from proxy.config.resilience import Split, When
from proxy.config.structs import Deployment, Route
from proxy.exchange import ClientKey, Exchange
from proxy.turns import Turn, compile_turn
from tests.fakes import exchange

HERE = [Deployment(provider="p")]


def turning(
    *splits: tuple[str, float], by: str = "key", when: Sequence[When] = (), name: str = "r"
) -> Turn:
    """Return where exchanges of a route with these splits turn to."""
    split = [Split(route=name, share=share) for name, share in splits]
    turn = compile_turn(name, Route(deployments=HERE, split=split, split_by=by, when=list(when)))
    assert turn is not None
    return turn


def of(key: str, **headers: str) -> Exchange:
    """Return an exchange of this key."""
    made = exchange()
    made.key = ClientKey(key)
    made.headers = headers
    return made


def sides(turn: Turn, clients: int = 20_000) -> list[str | None]:
    """Return where so many clients turn to."""
    return [turn(of(f"key-{n}")) for n in range(clients)]


def test_a_route_without_conditions_and_splits_asks_nobody() -> None:
    """It costs nothing."""
    assert compile_turn("r", Route(deployments=HERE)) is None


def test_the_first_condition_that_holds_decides() -> None:
    """Before any split; where none holds, the route serves itself."""
    when = [When(key=["key-1"], route="one"), When(key=["key-?"], route="any")]
    turn = turning(when=when)

    assert [turn(of(f"key-{n}")) for n in (1, 2, 33)] == ["one", "any", None]
    assert turning(("other", 1.0), when=when)(of("key-1")) == "one"


def test_each_part_gets_its_share() -> None:
    """And the rest stays."""
    shares = Counter(sides(turning(("a", 0.2), ("b", 0.3), ("c", 0.05))))

    assert shares["a"] == pytest.approx(4_000, rel=0.08)
    assert shares["b"] == pytest.approx(6_000, rel=0.08)
    assert shares["c"] == pytest.approx(1_000, rel=0.15)
    assert Counter(sides(turning(("a", 1.0)))) == {"a": 20_000}
    assert Counter(sides(turning(("a", 0.5), ("b", 0.5))))[None] == 0


def test_a_part_that_grows_moves_nobody_between_the_others() -> None:
    """Whoever moves has gone to the one that grew, or had stayed here before."""
    before = sides(turning(("a", 0.1), ("b", 0.2), ("c", 0.1)))
    after = sides(turning(("a", 0.3), ("b", 0.2), ("c", 0.1)))
    moves = Counter((a, b) for a, b in zip(before, after, strict=True) if a != b)

    assert moves
    assert not [move for move in moves if move[0] == "a"]
    assert not [move for move in moves if move[0] is not None and move[1] != "a"]


def test_a_client_stays_on_its_side() -> None:
    """In every process, today and tomorrow: the number comes from its name alone."""
    turn = turning(("a", 0.5))
    pinned = ["a", "a", None, "a", "a", None, None, None]

    assert [turn(of(f"key-{n}")) for n in range(8)] == pinned


def test_two_splits_are_drawn_apart() -> None:
    """Who is in the one is not more likely in the other."""
    one, other = sides(turning(("a", 0.5))), sides(turning(("a", 0.5), name="s"))
    both = sum(x is not None and y is not None for x, y in zip(one, other, strict=True))

    assert both == pytest.approx(5_000, rel=0.08)


def test_what_keeps_a_client_on_its_side_can_be_chosen() -> None:
    """The body's user, a header, or nothing: each request anew."""
    user = turning(("a", 0.5), by="user")
    bodies = [exchange(b'{"model":"m","user":"u%d"}' % n) for n in range(200)]
    assert {user(body) for body in bodies} == {"a", None}

    session = turning(("a", 0.5), by="X-Session")
    assert {session(of("same", **{"x-session": f"s{n}"})) for n in range(200)} == {"a", None}
    assert len({session(of("same")) for _ in range(50)}) == 1

    anew = turning(("a", 0.5), by="request")
    found = set()
    for n in range(200):
        one = of("same")
        one.id = f"req_{n}"
        found.add(anew(one))
    assert found == {"a", None}


def test_without_a_key_the_address_counts() -> None:
    """Everybody is `anyone` then."""
    turn = turning(("a", 0.5))
    found = set()
    for n in range(200):
        one = exchange()
        one.client = f"10.0.0.{n}"
        found.add(turn(one))
    assert found == {"a", None}

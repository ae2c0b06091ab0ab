"""Routes, and what outlives a request."""

import pytest

from proxy.sim.behaviour import Behaviour
from proxy.sim.face import Face, Inquiry, Route, Routes, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer


def answer(inquiry: Inquiry, world: World) -> Answer:
    return Answer()


FACE = Face(
    routes=(
        Route("GET", "/a", answer),
        Route("GET", "/a/{id}", answer),
        Route("POST", "/a/{id}/b", answer),
        Route("GET", "/m/{id*}", answer),
    ),
    error=lambda refusal: b"",
)
ROUTES = Routes([FACE])


@pytest.mark.parametrize(
    ("method", "path", "arguments"),
    [
        ("GET", "/a", {}),
        ("GET", "/a/5", {"id": "5"}),
        ("POST", "/a/x.y/b", {"id": "x.y"}),
        ("GET", "/m/org/name:1", {"id": "org/name:1"}),
    ],
)
def test_a_route_is_found(method: str, path: str, arguments: dict[str, str]) -> None:
    """Exactly, by one segment, or by all that follow."""
    assert ROUTES.find(method, path) == (FACE, answer, arguments)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/a", 405, "GET"),
        ("DELETE", "/a/5", 405, "GET"),
        ("GET", "/b", 404, None),
        ("GET", "/a/5/c", 404, None),
        ("GET", "/m/", 404, None),
    ],
)
def test_no_route(method: str, path: str, status: int, allow: str | None) -> None:
    """404 for a path nobody has, 405 with the right methods for one that is there."""
    with pytest.raises(Refusal) as caught:
        ROUTES.find(method, path)
    assert caught.value.status == status
    assert dict(caught.value.headers).get("allow") == allow


def test_stored_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest leaves first."""
    monkeypatch.setattr(World, "MAX_STORED", 2)
    world = World(Behaviour(), 0)
    for id in "abc":
        world.store({"id": id})
    assert list(world.stored) == ["b", "c"]


def test_ids_are_new() -> None:
    """Nobody had it before."""
    world = World(Behaviour(), 0)
    assert world.next_id("x-") != world.next_id("x-")

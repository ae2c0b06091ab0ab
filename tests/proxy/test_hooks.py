"""The chain of plugins: inward, outward, and only those that were entered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy import hooks
from proxy.errors import NotAllowed
from proxy.exchange import Exchange
from proxy.hooks import Chain, Filter, Plugin
from proxy.wire import Chunk, Response
from tests.fakes import exchange


class Noting(Plugin):
    """Notes each stage it is asked for."""

    def __init__(self, name: str, seen: list[str], early: Response | None = None) -> None:
        self.name = name
        self._seen = seen
        self._early = early

    async def pre(self, exchange: Exchange) -> Response | None:
        self._seen.append(f"pre {self.name}")
        return self._early

    def filter(self, exchange: Exchange) -> Filter | None:
        self._seen.append(f"filter {self.name}")
        return None

    async def post(self, exchange: Exchange, response: Response) -> Response:
        self._seen.append(f"post {self.name}")
        return response

    async def end(self, exchange: Exchange) -> None:
        self._seen.append(f"end {self.name}")


class Refusing(Noting):
    async def pre(self, exchange: Exchange) -> Response | None:
        await super().pre(exchange)
        raise NotAllowed("no")


class Silent(Plugin):
    name = "silent"


async def run(chain: Chain) -> None:
    """Drive one exchange through all stages, as the pipeline does."""
    given = exchange()
    try:
        await chain.pre(given)
        chain.filters(given)
        await chain.post(given, Response(b""))
    except NotAllowed:
        pass
    await chain.end(given)


async def test_pre_runs_inward_and_the_rest_outward() -> None:
    """The chain nests like an onion."""
    seen: list[str] = []
    await run(Chain([Noting("a", seen), Silent(), Noting("b", seen)]))

    assert seen == [
        *("pre a", "pre b"),
        *("filter b", "filter a"),
        *("post b", "post a"),
        *("end b", "end a"),
    ]


async def test_a_plugin_that_answers_is_the_innermost() -> None:
    """Its answer goes out through itself and through those around it."""
    seen: list[str] = []
    answer = Response(b"cached")
    chain = Chain([Noting("a", seen), Noting("b", seen, early=answer), Noting("c", seen)])
    given = exchange()

    assert await chain.pre(given) is answer
    await chain.post(given, answer)
    await chain.end(given)
    assert seen == ["pre a", "pre b", "post b", "post a", "end b", "end a"]


async def test_a_plugin_that_refuses_still_sees_the_end() -> None:
    """What it began it can finish; whoever stands behind it began nothing."""
    seen: list[str] = []
    await run(Chain([Noting("a", seen), Refusing("b", seen), Noting("c", seen)]))

    assert seen == ["pre a", "pre b", "end b", "end a"]


async def test_an_exchange_that_was_never_let_in_ends_without_plugins() -> None:
    """A body that cannot be read is refused before the chain."""
    seen: list[str] = []
    await Chain([Noting("a", seen)]).end(exchange())

    assert seen == []


async def test_a_plugin_without_pre_is_entered_with_the_others() -> None:
    """Otherwise a plugin that only looks at the end would never see one."""
    seen: list[str] = []

    class OnlyEnd(Plugin):
        async def end(self, exchange: Exchange) -> None:
            seen.append("end")

    await run(Chain([OnlyEnd(), OnlyEnd()]))
    await run(Chain([OnlyEnd(), Refusing("b", []), OnlyEnd()]))
    assert seen == ["end"] * 3


async def test_a_mistake_at_the_end_is_logged_and_stops_nobody() -> None:
    """The answer is out; the others have their own books to keep."""
    seen: list[str] = []

    class Broken(Plugin):
        name = "broken"

        async def end(self, exchange: Exchange) -> None:
            raise ZeroDivisionError

    with capture_logs() as logs:
        await run(Chain([Noting("a", seen), Broken()]))
    assert seen[-1] == "end a"
    assert [(line["event"], line["plugin"]) for line in logs] == [("end hook failed", "broken")]


def test_a_stage_nobody_overrides_costs_nothing() -> None:
    """The chain leaves it out when it is made."""
    chain = Chain([Silent(), Silent()])

    assert chain._pre == chain._filter == chain._post == chain._end == []
    assert chain.end_waits is False


async def test_only_filters_that_opened_are_in_the_stream() -> None:
    """A plugin may let a stream pass."""

    class Opening(Plugin):
        def filter(self, exchange: Exchange) -> Filter | None:
            return Passing("x")

    chain, given = Chain([Opening(), Noting("a", []), Opening()]), exchange()
    await chain.pre(given)
    assert len(chain.filters(given)) == 2


class Passing:
    """Marks what passes; holds nothing until it is closed."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        return (Chunk(chunk.data + self._mark),)

    def close(self) -> Sequence[Chunk]:
        return (Chunk(b"last" + self._mark),)


class Dropping(Passing):
    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        return ()


class Doubling(Passing):
    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        return (chunk, chunk)


@pytest.mark.parametrize(
    ("machines", "fed", "closed"),
    [
        ([], [b"c"], []),
        ([Passing("1")], [b"c1"], [b"last1"]),
        ([Passing("1"), Passing("2")], [b"c12"], [b"last12", b"last2"]),
        ([Dropping("1"), Passing("2")], [], [b"last12", b"last2"]),
        ([Passing("1"), Dropping("2")], [], [b"last2"]),
        ([Doubling("1"), Doubling("2")], [b"c"] * 4, [b"last1", b"last1", b"last2"]),
    ],
)
def test_what_an_inner_machine_gives_passes_the_outer_ones(
    machines: list[Filter], fed: list[bytes], closed: list[bytes]
) -> None:
    """Also what it held until the end."""
    assert [chunk.data for chunk in hooks.feed(machines, [Chunk(b"c")])] == fed
    assert [chunk.data for chunk in hooks.close(machines)] == closed


def test_comments_pass_the_machines_by() -> None:
    """A filter sees chunks only."""
    comment = Chunk(b"", block=b": ping\n\n", content=False)

    assert list(hooks.feed([Dropping("1")], [comment, Chunk(b"c")])) == [comment]


def _wrapped(stage: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stage)
    async def around(*arguments: Any) -> Any:
        async with Context():
            return await stage(*arguments)

    return around


class Context:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *exception: object) -> None: ...


class Awaiting(Plugin):
    async def end(self, exchange: Exchange) -> None:
        await self.post(exchange, Response(b""))


class Wrapped(Plugin):
    @_wrapped
    async def end(self, exchange: Exchange) -> None:
        """Wait for nothing itself."""


class Iterating(Plugin):
    async def end(self, exchange: Exchange) -> None:
        async for _ in exchange.notes["rows"]:
            pass


class Inheriting(Awaiting):
    pass


class Counting(Plugin):
    async def end(self, exchange: Exchange) -> None:
        exchange.notes["n"] = 1


@pytest.mark.parametrize("kind", [Awaiting, Wrapped, Iterating, Inheriting])
def test_an_end_that_can_wait_is_known(kind: type[Plugin]) -> None:
    """It needs a task of its own, or the next request would wait with it."""
    assert Chain([Counting(), kind()]).end_waits is True


def test_an_end_that_cannot_wait_is_known() -> None:
    """It runs at once, without a task."""
    assert Chain([Counting(), Silent()]).end_waits is False

"""Processes that share what they know through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from proxy.breaker import Breaker
from proxy.credentials import Credential
from proxy.drains import Drains
from proxy.health import Health
from proxy.queues import Bounds, ProviderUnit
from proxy.sharing import facts, redisstore, store
from proxy.sharing.shared import SharedState
from proxy.sharing.store import opener
from proxy.upstream import Upstream
from tests.servers import RedisServer

LIMIT_S = 10.0
SECRET = "sk-a-secret-of-the-vendor"


class Process:
    """What of a gateway matters here: a provider with a credential, and the shared state."""

    def __init__(self, url: str) -> None:
        self.credential = Credential(SECRET, "main")
        bounds = Bounds(workers=4, queue=4, queue_timeout_s=1)
        self.unit = ProviderUnit("vendor", cast(Upstream, None), bounds, [self.credential])
        self.drains = Drains()
        self.units = {"vendor": self.unit}
        opens = opener(url)
        self.shared = SharedState(
            lambda name: opens(url, "tests", name), lambda: self.units, self.drains
        )

    @property
    def health(self) -> Health:
        return self.unit.health("model")

    def opens(self, for_s: float = 30.0) -> None:
        """Let the circuit open here, as after failures."""
        self.health.breaker.opened(monotonic(), monotonic() + for_s)
        self.shared.told(self.unit, self.health)

    def closes(self) -> None:
        """Let the circuit close here, as after a good probe."""
        self.health.breaker.closed(monotonic())
        self.shared.told(self.unit, self.health)

    def dies(self, for_s: float = 20.0) -> None:
        """Let the vendor refuse the credential here."""
        self.life.opened(monotonic(), monotonic() + for_s)
        self.shared.told(self.unit, self.health)

    @property
    def life(self) -> Breaker:
        return self.health.use(self.credential).life

    def drain(self, name: str, *, drained: bool = True) -> None:
        """Let an operator say it here."""
        self.shared.said(self.drains.say(name, drained=drained))
        self.drains.apply(self.units)


Start = Callable[..., Any]


@asynccontextmanager
async def processes(*urls: str) -> AsyncIterator[list[Process]]:
    """Start processes, each connected before the next begins."""
    made = [Process(url) for url in urls]
    try:
        for process in made:
            process.shared.start()
            await until(lambda it=process: it.shared.up)
        yield made
    finally:
        for process in made:
            await process.shared.close()


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.002)


async def test_an_opening_and_a_recovery_reach_the_others(redis_server: RedisServer) -> None:
    """What one process learned with its calls, the others need not learn with theirs."""
    async with processes(*[redis_server.url] * 3) as (first, second, third):
        first.opens(30)
        for other in (second, third):
            await until(lambda it=other: it.health.breaker.state == "open")
            left_s = other.health.breaker.open_until - monotonic()
            assert 20 < left_s <= 30.1
        second.closes()
        for other in (first, third):
            await until(lambda it=other: it.health.breaker.state == "closed")


async def test_a_newcomer_learns_what_holds(redis_server: RedisServer) -> None:
    """Circuits, credentials and drains are the state of the fleet, not of a process."""
    async with processes(redis_server.url) as (first,):
        first.opens(30)
        first.credential.rests_until = monotonic() + 10
        first.dies()
        first.drain("vendor/other")
        await until(lambda: not first.shared._outbox._reads)
        async with processes(redis_server.url) as (late,):
            assert late.health.breaker.state == "open"
            assert late.life.state == "open"
            assert 5 < late.credential.rests_until - monotonic() <= 10.1
            assert late.unit.health("other").drained
            assert not late.health.drained


async def test_no_secret_is_told(redis_server: RedisServer) -> None:
    """A credential is told by its name and a digest that nobody can turn back."""
    async with processes(redis_server.url) as (first,):
        first.dies()
        await until(lambda: not first.shared._outbox._reads)
        line = redisstore.RedisStore(redis_server.url, "tests", "reader")
        names = list((await line.facts()).lasting)
        await line.close()
    assert len(names) == 1
    assert names[0].startswith("life:vendor/main#")
    assert SECRET not in names[0]


async def test_a_credential_that_works_again_is_told(redis_server: RedisServer) -> None:
    """Its state is forgotten where it works; the others hear of it."""
    async with processes(*[redis_server.url] * 2) as (first, second):
        first.dies()
        await until(lambda: second.life.state == "open")
        del second.health.uses[second.credential]
        second.shared.told(second.unit, second.health)
        await until(lambda: first.life.state == "closed")


async def test_what_was_only_taken_over_is_not_told_on(redis_server: RedisServer) -> None:
    """Else the news of one thing would overrule what others know of the next."""
    async with processes(*[redis_server.url] * 2) as (first, second):
        first.opens()
        await until(lambda: second.health.breaker.state == "open")
        second.dies()
        assert list(second.shared._outbox._reads) == [
            facts.life_of(second.unit, second.credential, second.health)
        ]


async def test_the_same_name_for_another_key_is_another_credential(
    redis_server: RedisServer,
) -> None:
    """Replicas need not have the same configuration at every moment."""
    async with processes(*[redis_server.url] * 2) as (first, second):
        second.unit.credentials[0].value = "sk-another"
        first.dies()
        first.opens()
        await until(lambda: second.health.breaker.state == "open")
        assert second.life.state == "closed"


async def test_one_process_of_all_may_try(redis_server: RedisServer) -> None:
    """A vendor that comes back is not at once hit by a probe of every process."""
    async with processes(*[redis_server.url] * 4) as all_of_them:
        all_of_them[0].opens(1.5)
        await asyncio.sleep(1.6)  # past the rest: the lease was asked for before its end
        trying = [it for it in all_of_them if it.health.breaker.begin(monotonic())]
        assert len(trying) == 1
        trying[0].health.breaker.success(monotonic(), True)
        trying[0].shared.told(trying[0].unit, trying[0].health)
        for other in all_of_them:
            await until(lambda it=other: it.health.breaker.state == "closed")


async def test_a_failed_probe_opens_it_for_all_and_for_longer(redis_server: RedisServer) -> None:
    """The second rest is twice the first, wherever the first began."""
    async with processes(*[redis_server.url] * 2) as both:
        both[0].opens(1.5)
        await until(lambda: both[1].health.breaker.state == "open")
        await asyncio.sleep(1.6)
        (trying,) = [it for it in both if it.health.breaker.begin(monotonic())]
        trying.health.breaker.failure(monotonic(), True)
        trying.shared.told(trying.unit, trying.health)
        rest_s = trying.health.breaker.open_until - monotonic()
        (other,) = [it for it in both if it is not trying]
        assert rest_s > 2.2
        ends = trying.health.breaker.open_until
        await until(lambda: abs(other.health.breaker.open_until - ends) < 0.3)


async def test_who_has_no_call_lets_another_try(redis_server: RedisServer) -> None:
    """The lease of a process without traffic runs out, and another gets it."""
    async with processes(*[redis_server.url] * 2) as (first, second):
        first.opens(0.6)
        await until(lambda: second.health.breaker.state == "open")
        # Only the second has calls; whoever has the lease first, it may try in the end.
        await until(lambda: second.health.breaker.begin(monotonic()))
        assert first.health.breaker.state == "open"


async def test_an_operator_changes_his_mind(redis_server: RedisServer) -> None:
    """The last word about a name counts, whoever heard it."""
    async with processes(*[redis_server.url] * 2) as (first, second):
        first.drain("vendor")
        await until(lambda: second.unit.drained)
        second.drain("vendor", drained=False)
        await until(lambda: not first.unit.drained)


async def test_a_server_that_lost_everything_is_told_the_drains_again(
    redis_server: RedisServer,
) -> None:
    """It is killed, and comes back empty; what operators said is still known to somebody."""
    async with processes(*[redis_server.url] * 2) as (first, second):
        first.drain("vendor/model")
        await until(lambda: second.health.drained)
        with capture_logs() as logged:
            redis_server.kill()
            await until(lambda: not first.shared.up and not second.shared.up)
            first.opens(30)
            second.drain("vendor/model", drained=False)
            assert first.health.drained
            redis_server.start()
            await until(lambda: first.shared.up and second.shared.up)
            await until(lambda: second.health.breaker.state == "open")
            await until(lambda: not first.health.drained)
        events = [line["event"] for line in logged]
        assert events.count("shared state is back") == 2
        assert events.count("shared state is away, this process decides alone") == 2


async def test_a_server_that_answers_nothing_any_more_is_noticed(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen machine keeps its connections; telling it something shows that it is away."""
    monkeypatch.setattr(redisstore, "TIMEOUT_S", 0.1)
    async with processes(redis_server.url) as (first,):
        redis_server.freeze()
        first.opens(30)
        await until(lambda: not first.shared.up)
        redis_server.thaw()
        await until(lambda: first.shared.up)
        await until(lambda: not first.shared._outbox._reads)


async def test_a_silent_line_is_noticed_without_anything_to_tell(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a process would believe for ever that nothing happens."""
    monkeypatch.setattr(redisstore, "PING_S", 0.05)
    async with processes(redis_server.url) as (first,):
        await asyncio.sleep(0.3)
        assert first.shared.up
        redis_server.freeze()
        await until(lambda: not first.shared.up)
        redis_server.thaw()
        await until(lambda: first.shared.up)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere/redis.sock"])
async def test_without_a_server_it_is_said_once(url: str) -> None:
    """The log names the reason, not each try; everything else works as without it."""
    process = Process(url)
    with capture_logs() as logged:
        process.shared.start()
        await until(lambda: process.shared.reason)
        await asyncio.sleep(0.5)
        process.opens()
        process.drain("vendor")
        await process.shared.close()
    assert len(logged) == 1
    assert process.unit.drained


async def test_a_wrong_password_is_told_without_it(redis_server: RedisServer) -> None:
    """The reason is the server's own; a secret never reaches the log."""
    redis_server.kill()
    redis_server.start(password="right")
    process = Process(redis_server.url.replace("unix://", "unix://:a-wrong-one@"))
    process.shared.start()
    await until(lambda: process.shared.reason)
    await process.shared.close()
    assert "password" in process.shared.reason
    assert "a-wrong-one" not in process.shared.reason


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts, and says nothing."""
    monkeypatch.setattr(redisstore, "TIMEOUT_S", 0.05)
    taken: list[asyncio.StreamWriter] = []
    hanging = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    process = Process(f"redis://127.0.0.1:{port}")
    process.shared.start()
    await until(lambda: process.shared.reason)
    await process.shared.close()
    hanging.close()
    for writer in taken:
        writer.close()
    assert not process.shared.up


async def test_a_store_is_only_imported_for_a_url_it_takes() -> None:
    """A mistake in the configuration is told when it is read."""
    with pytest.raises(ValueError, match="redis://"):
        store.opener("http://127.0.0.1")

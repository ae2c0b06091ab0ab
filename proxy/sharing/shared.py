"""The task that shares what this process knows, and takes over what others know.

    away        every process for itself; the next try comes after a jittered, growing wait
    catching up the line is there: what holds is read, what others do not know is told
    up          changes go out and come in, and leases are asked for

Nothing waits for this task, and what it does never takes a request's time.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping
from time import monotonic

import structlog

from proxy import tasks
from proxy.breaker import Breaker
from proxy.drains import Drain, Drains
from proxy.health import Health
from proxy.queues import ProviderUnit
from proxy.sharing import facts
from proxy.sharing.leases import LEASE_S, Leases
from proxy.sharing.news import News
from proxy.sharing.outbox import Outbox
from proxy.sharing.store import Store, Unreachable

log = structlog.get_logger()

_BATCH = 128
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0

Units = Callable[[], Mapping[str, ProviderUnit]]


class SharedState:
    """What this process has in common with others.

    Attributes:
        up: whether the server is there.
        reason: why it is not; empty while it is, and before the first try.
    """

    def __init__(self, connect: Callable[[str], Store], units: Units, drains: Drains) -> None:
        """Prepare; `start` begins.

        Args:
            connect: makes a new line to the server for the process of this name.
            units: the providers of the newest configuration.
            drains: the operators' words that this process knows.
        """
        self.up = False
        self.reason = ""
        self._name = secrets.token_hex(8)
        self._connect = connect
        self._units = units
        self._drains = drains
        self._outbox = Outbox(self._name)
        self._leases = Leases()
        self._news = News()
        self._stirred = asyncio.Event()
        self._outdated = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to share."""
        self._task = tasks.spawn(self._run(), name="shared state")

    async def close(self) -> None:
        """Stop sharing; others go on with what they know."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def told(self, unit: ProviderUnit, health: Health) -> None:
        """Let others know what has changed of a model, or of what credentials may do."""
        for name, read, breaker in self._news.found(unit, health, monotonic()):
            self._outbox.put(name, read)
            if breaker is not None:
                self._watch(name, breaker)

    def said(self, drain: Drain) -> None:
        """Let others know of an operator's word."""
        self._outbox.put(f"{facts.DRAIN}:{drain.name}", lambda _: drain.rank)

    def refresh(self) -> None:
        """Read again what holds: there are new providers, which know nothing yet."""
        self._outdated.set()

    async def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                await self._connected()
            except* Unreachable as group:
                wait_s = _FIRST_WAIT_S if self.up else min(2 * wait_s, _LONGEST_WAIT_S)
                self._lost(str(group.exceptions[0]))
            # A border: a mistake of ours, or of the library, must not end sharing for good.
            except* Exception:
                log.exception("sharing failed, and is begun again")
                self._lost("it failed on a mistake")
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))

    async def _connected(self) -> None:
        """Share until the line breaks.

        Raises:
            Unreachable: perhaps in a group.
        """
        store = self._connect(self._name)
        try:
            await store.connect()
            await self._catch_up(store)
            self._found()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(store))
                group.create_task(self._tell(store))
                group.create_task(self._lease(store))
                group.create_task(self._refresh(store))
        finally:
            await store.close()

    async def _catch_up(self, store: Store) -> None:
        """Take over what holds, and tell what is missing there."""
        found = await store.facts()
        self._outbox.again()
        for name, left_ms in found.lasting.items():
            self._take(name, left_ms)
        for name, rank in found.drains.items():
            self._take(f"{facts.DRAIN}:{name}", rank)
        for drain in self._drains.all():
            if drain.rank > found.drains.get(drain.name, 0):
                self.said(drain)

    async def _listen(self, store: Store) -> None:
        while True:
            message = await store.heard()
            if not self._outbox.settles(message):
                self._take(message.name, message.value)

    async def _tell(self, store: Store) -> None:
        while True:
            await self._outbox.filled()
            messages = self._outbox.batch(monotonic(), _BATCH)
            if messages:
                await store.tell(messages)

    async def _lease(self, store: Store) -> None:
        while True:
            self._stirred.clear()
            names = self._leases.due(monotonic(), _BATCH)
            if names:
                answers = await store.ask(names, LEASE_S)
                self._leases.answered(names, answers, monotonic())
                continue
            try:
                async with asyncio.timeout(self._leases.pause_s(monotonic())):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def _refresh(self, store: Store) -> None:
        while True:
            await self._outdated.wait()
            self._outdated.clear()
            await self._catch_up(store)

    def _take(self, name: str, value: int) -> None:
        """Apply what others say, unless we have something newer to say of it.

        An operator's word has its own order, and is compared whatever we have to say.
        """
        kind, _, _ = name.partition(":")
        take = _TAKES.get(kind)
        if take is not None and (kind == facts.DRAIN or not self._outbox.holds(name)):
            take(self, name, value)

    def _take_breaker(self, name: str, left_ms: int) -> None:
        breaker = facts.breaker_of(name, self._units())
        if breaker is None:
            return
        now = monotonic()
        if left_ms > 0:
            breaker.opened(now, now + left_ms / 1000)
        else:
            breaker.closed(now)
        self._news.known(name, breaker)
        self._watch(name, breaker)

    def _take_rest(self, name: str, left_ms: int) -> None:
        credential = facts.credential_of(name, self._units())
        if credential is not None:
            until = monotonic() + left_ms / 1000
            credential.rests_until = max(credential.rests_until, until)
            for unit in self._units().values():
                unit.look_at_limits()
            self._news.rested(name, credential)

    def _take_drain(self, name: str, rank: int) -> None:
        drain = Drain.ranked(name.partition(":")[2], rank)
        if self._drains.hear(drain):
            self._drains.apply(self._units())
            log.info("drain taken over", name=drain.name, drained=drain.drained)

    def _watch(self, name: str, breaker: Breaker) -> None:
        self._leases.watch(name, breaker)
        self._stirred.set()

    def _found(self) -> None:
        if self.reason:
            log.info("shared state is back")
        self.up, self.reason = True, ""

    def _lost(self, reason: str) -> None:
        if self.up or not self.reason:
            log.warning("shared state is away, this process decides alone", reason=reason)
        self.up, self.reason = False, reason


_TAKES = {
    facts.CIRCUIT: SharedState._take_breaker,
    facts.LIFE: SharedState._take_breaker,
    facts.REST: SharedState._take_rest,
    facts.DRAIN: SharedState._take_drain,
}
"""What to do with a fact, by its kind; another kind is a later release's."""

"""What the processes of one gateway do together: this process' part of it.

An operator's word reaches one process, and all have to follow it: the other workers of this
host through their sockets (`proxy.control`), other replicas through Redis (`proxy.sharing`).
What is asked of the whole gateway is put together here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from proxy.config.problems import ConfigError
from proxy.config.structs import State
from proxy.control import Control, Question
from proxy.drains import Drain, Drains
from proxy.history import History
from proxy.overview import Overview, names, overview, together
from proxy.queues import ProviderUnit
from proxy.sharing.shared import SharedState
from proxy.sharing.store import opener
from proxy.snapshot import Snapshot


class Change(NamedTuple):
    """The version of the configuration before and after it was read anew."""

    before: str
    version: str


class Worker(msgspec.Struct):
    """What another worker did when it read the configuration anew.

    Attributes:
        problems: why it did not take it; empty if it did.
    """

    version: str
    problems: str = ""


class Fleet:
    """This process among those that serve as one gateway.

    Attributes:
        history: the last exchanges of this process.
    """

    def __init__(
        self,
        current: Callable[[], Snapshot],
        reload: Callable[[], Awaitable[Change]],
        folder: Path | None,
    ) -> None:
        """Prepare to take part.

        Args:
            current: the newest configuration.
            reload: reads the configuration anew in this process; may raise ConfigError.
            folder: shared by the workers; None where there is one process.
        """
        self.history = History()
        self._current = current
        self._reload = reload
        self._drains = Drains()
        self._control = Control(folder, self._answer) if folder is not None else None
        self._state = State()
        self._shared: SharedState | None = None

    @property
    def away(self) -> str | None:
        """Why the shared state cannot be had; empty: it can; None: there shall be none."""
        if self._shared is None:
            return None
        return "" if self._shared.up else self._shared.reason or "not yet connected"

    async def start(self) -> None:
        """Begin to listen to the other workers, and learn what they were told before.

        Raises:
            OSError: the shared folder cannot be used.
        """
        if self._control is None:
            return
        await self._control.start()
        for drains in await self._control.ask({"ask": "drains"}):
            for drain in drains:
                self._drains.hear(Drain(*drain))
        self._drains.apply(self._units())

    async def take(self, snapshot: Snapshot) -> None:
        """Go on under this configuration, which is the current one now."""
        self._drains.apply(self._units())
        if snapshot.config.state != self._state:
            await self._leave()
            self._state = snapshot.config.state
            self._join()
        told = self._shared.told if self._shared is not None else _nobody
        for unit in self._units().values():
            unit.told = told
        if self._shared is not None:
            self._shared.refresh()

    async def close(self) -> None:
        """Take part no more."""
        await self._leave()
        if self._control is not None:
            await self._control.close()

    async def overview(self) -> Overview:
        """Return how all workers of this host see their providers."""
        others = await self._ask({"ask": "overview"})
        return together([self._seen(), *(msgspec.convert(each, Overview) for each in others)])

    async def exchange(self, request_id: str) -> dict[str, Any] | None:
        """Return what became of an exchange, whichever worker of this host served it."""
        found = self.history.find(request_id)
        if found is not None:
            return found
        answers = await self._ask({"ask": "exchange", "id": request_id})
        return next((answer for answer in answers if answer), None)

    async def drain(self, name: str, *, drained: bool) -> None:
        """Let all processes follow an operator's word about a provider or a model."""
        drain = self._drains.say(name, drained=drained)
        self._drains.apply(self._units())
        if self._shared is not None:
            self._shared.said(drain)
        await self._ask({"ask": "drain", "drain": drain})

    async def names(self) -> set[str]:
        """Return what may be drained, as far as any worker of this host knows."""
        found = names(self._current()) | {drain.name for drain in self._drains.all()}
        for others in await self._ask({"ask": "names"}):
            found.update(others)
        return found

    async def reconfigure(self) -> tuple[Change, list[Worker]]:
        """Read the configuration anew, here first and then in all other workers.

        Raises:
            ConfigError: it cannot be used; nothing has changed anywhere.
        """
        change = await self._reload()
        answers = await self._ask({"ask": "reload"})
        return change, [msgspec.convert(answer, Worker) for answer in answers]

    async def _ask(self, question: Question) -> list[Any]:
        return await self._control.ask(question) if self._control is not None else []

    async def _answer(self, question: Question) -> Any:
        """Answer another worker."""
        return await _ANSWERS[question["ask"]](self, question)

    async def _hear_drain(self, question: Question) -> None:
        if self._drains.hear(Drain(*question["drain"])):
            self._drains.apply(self._units())

    async def _tell_drains(self, _: Question) -> list[Drain]:
        return self._drains.all()

    async def _tell_names(self, _: Question) -> list[str]:
        return sorted(names(self._current()))

    async def _tell_overview(self, _: Question) -> Overview:
        return self._seen()

    async def _tell_exchange(self, question: Question) -> dict[str, Any] | None:
        return self.history.find(question["id"])

    async def _read_anew(self, _: Question) -> Worker:
        try:
            change = await self._reload()
        except ConfigError as error:
            return Worker(self._current().version, error.render())
        return Worker(change.version)

    def _seen(self) -> Overview:
        return overview(self._current(), monotonic())

    def _units(self) -> Mapping[str, ProviderUnit]:
        return {name: unit.unit for name, unit in self._current().units.items()}

    def _join(self) -> None:
        url = self._state.redis.reveal()
        if url:
            connect = partial(opener(url), url, self._state.prefix)
            self._shared = SharedState(connect, self._units, self._drains)
            self._shared.start()

    async def _leave(self) -> None:
        if self._shared is not None:
            shared, self._shared = self._shared, None
            await shared.close()


def _nobody(*_: object) -> None:
    """Nobody else wants to know."""


_ANSWERS = {
    "overview": Fleet._tell_overview,
    "exchange": Fleet._tell_exchange,
    "names": Fleet._tell_names,
    "drains": Fleet._tell_drains,
    "drain": Fleet._hear_drain,
    "reload": Fleet._read_anew,
}

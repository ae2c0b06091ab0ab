"""What of a changed model is news: what changed here, and was not taken over from others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from proxy.breaker import Breaker
from proxy.credentials import Credential
from proxy.health import Health
from proxy.queues import ProviderUnit
from proxy.sharing import facts
from proxy.sharing.outbox import Read

MOST = 4096
"""Names whose last known state is kept."""


class Item(NamedTuple):
    """One thing to tell.

    Attributes:
        read: what it is worth when its turn comes.
        breaker: what may have to be tried after a while, if it is such a thing.
    """

    name: str
    read: Read
    breaker: Breaker | None = None


class News:
    """The states that others know as well, by name."""

    def __init__(self) -> None:
        self._breakers: dict[str, tuple[Breaker, int]] = {}
        self._rests: dict[str, float] = {}

    def found(self, unit: ProviderUnit, health: Health, now: float) -> list[Item]:
        """Return what others do not know yet, and take it for known.

        Args:
            unit: whose model it is.
            health: of that model.
            now: monotonic time, in seconds.
        """
        return [
            item for item in self._items(unit, health, now) if len(item.name) <= facts.LONGEST_NAME
        ]

    def known(self, name: str, breaker: Breaker) -> None:
        """Take note of what others told."""
        self._breakers.pop(name, None)
        if len(self._breakers) >= MOST:
            del self._breakers[next(iter(self._breakers))]
        self._breakers[name] = (breaker, breaker.changes)

    def rested(self, name: str, credential: Credential) -> None:
        """Take note of a rest that others told."""
        if len(self._rests) >= MOST:
            self._rests.clear()
        self._rests[name] = credential.rests_until

    def _items(self, unit: ProviderUnit, health: Health, now: float) -> Iterator[Item]:
        circuit = facts.circuit_of(health)
        if self._moved(circuit, health.breaker):
            yield Item(circuit, partial(facts.open_ms, health.breaker), health.breaker)
        for credential in unit.credentials:
            name, state = facts.life_of(unit, credential, health), health.uses.get(credential)
            if state is None:
                if self._breakers.pop(name, None) is not None:
                    yield Item(name, _well)
            elif self._moved(name, state.life):
                yield Item(name, partial(facts.open_ms, state.life), state.life)
            rest = facts.rest_of(unit, credential)
            if credential.rests_until > max(now, self._rests.get(rest, 0.0)):
                self.rested(rest, credential)
                yield Item(rest, partial(facts.rest_ms, credential))

    def _moved(self, name: str, breaker: Breaker) -> bool:
        """Whether a breaker is no longer as others know it; if so, it is taken for known."""
        known, changes = self._breakers.get(name, (breaker, 0))
        moved = breaker.changes != (changes if known is breaker else 0)
        if moved:
            self.known(name, breaker)
        return moved


def _well(_: float) -> int:
    return 0

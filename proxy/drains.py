"""What operators have drained: who gets no new calls, until they say otherwise.

A drain is an operator's word, not a setting: it outlives a new configuration, and all workers
and replicas take it over. Each word about a name has a number, and the higher number counts,
so that all agree in the end whatever order the words come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from proxy.queues import ProviderUnit


class Drain(NamedTuple):
    """The last word about one name.

    Attributes:
        name: "provider", or "provider/model".
        drained: whether it gets no new calls.
        version: how many words there have been about it.
    """

    name: str
    drained: bool
    version: int

    @property
    def rank(self) -> int:
        """The order of words: by number, and of two with the same number the one that drains."""
        return 2 * self.version + self.drained

    @classmethod
    def ranked(cls, name: str, rank: int) -> Drain:
        """Return the word that has this rank."""
        return cls(name, bool(rank % 2), rank // 2)


class Drains:
    """All words that this process has heard."""

    def __init__(self) -> None:
        self._known: dict[str, Drain] = {}

    def say(self, name: str, *, drained: bool) -> Drain:
        """Note a new word of an operator."""
        known = self._known.get(name)
        drain = Drain(name, drained, known.version + 1 if known else 1)
        self._known[name] = drain
        return drain

    def hear(self, drain: Drain) -> bool:
        """Take over what was said elsewhere; whether it is news."""
        known = self._known.get(drain.name)
        if known is not None and known.rank >= drain.rank:
            return False
        self._known[drain.name] = drain
        return True

    def all(self) -> list[Drain]:
        """Return the last word about each name."""
        return list(self._known.values())

    def apply(self, units: Mapping[str, ProviderUnit]) -> None:
        """Let the providers and models that are there know."""
        for drain in self._known.values():
            provider, slash, model = drain.name.partition("/")
            unit = units.get(provider)
            if unit is None:
                continue
            if slash:
                unit.health(model).drained = drain.drained
            else:
                unit.drained = drain.drained

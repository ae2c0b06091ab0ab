"""What sharing asks of a server, in our own words."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from proxy.sharing.facts import Message

TIMEOUT_S = 1.0
"""How long the server may take for an answer, in seconds."""


class Unreachable(Exception):
    """The server is away, too slow, or refuses us; the text says which, without a secret."""


class Facts(NamedTuple):
    """All that holds.

    Attributes:
        lasting: what is out of service, by name, for how many milliseconds.
        drains: the ranks of operators' words, by name without its kind.
    """

    lasting: dict[str, int]
    drains: dict[str, int]


class Store(Protocol):
    """One connection to the server; after a failure it is closed and another one made.

    Every method raises Unreachable, and none takes longer than `TIMEOUT_S` but `heard`.
    """

    async def connect(self) -> None:
        """Connect, and hear from now on what is told."""

    async def facts(self) -> Facts:
        """Return all that holds now."""

    async def tell(self, messages: Sequence[Message]) -> None:
        """Let facts hold, and let all processes hear of them, in this order."""

    async def ask(self, names: Sequence[str], lease_s: float) -> list[float]:
        """Take or renew leases.

        Returns:
            For each how long somebody else still has it, in seconds; 0: it is ours.
        """

    async def heard(self) -> Message:
        """Wait for the next message, our own among them; a dead line is noticed."""

    async def close(self) -> None:
        """Let go of everything; never fails."""


class _Opens(Protocol):
    def __call__(self, url: str, prefix: str, holder: str) -> Store: ...


def opener(url: str) -> _Opens:
    """Return what makes a store for a URL; the client's library is imported only now.

    Raises:
        ValueError: it is no URL that the library takes.
    """
    module = import_module("proxy.sharing.redisstore")
    module.check(url)
    return cast(_Opens, module.RedisStore)

"""What vendors want back with the next turn, remembered for clients that drop it.

Some vendors sign their model's thoughts and refuse a tool's result that comes without them.
A client in OpenAI's format may not know where to keep them; the id of the tool call it does
send back. So they are remembered here by that id: in this process, for a while, and for the
tenant alone who got them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

_MIB = 1024 * 1024
_DAY_S = 24 * 3600.0
_ENTRY_BYTES = 400
"""What one entry costs beside its texts."""

MAX_VALUE_BYTES = 256 * 1024
"""A longer memory is not kept: the client has to send it back itself."""

MAX_ENTRIES = 100_000


class _Memory(NamedTuple):
    value: bytes
    until: float


class Vault:
    """Memories by tenant and tool call id; the one that was not used the longest goes first.

    Args:
        limit_bytes: of all of them together, their ids included.
        ttl_s: how long one is kept after it was last used, in seconds.
        max_entries: how many there may be.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        limit_bytes: int = 64 * _MIB,
        ttl_s: float = _DAY_S,
        *,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._ttl_s = ttl_s
        self._max_entries = max_entries
        self._clock = clock
        self._memories: OrderedDict[tuple[str, str], _Memory] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._memories)

    def keep(self, tenant: str, memory: Mapping[str, bytes]) -> None:
        """Remember what an answer told to remember.

        Args:
            tenant: who got the answer; nobody else may have it back.
            memory: by tool call id. What is over `MAX_VALUE_BYTES` is not kept.
        """
        until = self._clock() + self._ttl_s
        for tool_call_id, value in memory.items():
            place = (tenant, tool_call_id)
            self._forget(place)
            if len(value) > MAX_VALUE_BYTES:
                continue
            self._memories[place] = _Memory(value, until)
            self.bytes += _cost(place, value)
        self._shrink()

    def recall(self, tenant: str) -> Callable[[str], bytes | None]:
        """Return what finds this tenant's memories by their tool call id."""
        return partial(self._recall, tenant)

    def _recall(self, tenant: str, tool_call_id: str) -> bytes | None:
        place = (tenant, tool_call_id)
        memory = self._memories.get(place)
        if memory is None:
            return None
        now = self._clock()
        if memory.until <= now:
            self._forget(place)
            return None
        # Used now, it lasts anew: so the first in order is always the first to expire.
        self._memories[place] = memory._replace(until=now + self._ttl_s)
        self._memories.move_to_end(place)
        return memory.value

    def _shrink(self) -> None:
        now = self._clock()
        while self._memories:
            place = next(iter(self._memories))
            fits = self.bytes <= self._limit_bytes and len(self._memories) <= self._max_entries
            if fits and self._memories[place].until > now:
                return
            self._forget(place)

    def _forget(self, place: tuple[str, str]) -> None:
        memory = self._memories.pop(place, None)
        if memory is not None:
            self.bytes -= _cost(place, memory.value)


def _cost(place: tuple[str, str], value: bytes) -> int:
    return _ENTRY_BYTES + len(place[0]) + len(place[1]) + len(value)

"""A waiting line that is fair among tenants.

Classes of priority are strict: while a higher one waits, a lower one is not served. Within a
class tenants share by weight, by start-time fair queueing: a virtual clock stands at the start
of whoever was served last, each call of a tenant starts when its last one ended, a call takes
1 / weight, and the earliest start is served first. A tenant that was away starts at the clock:
it is owed nothing for the time it was not there.

Starts are reckoned when a call comes to the head of its tenant's calls, not when it is pushed,
so that one which is taken out leaves nothing to pay for.

Virtual time is in whole numbers, which neither drift nor round: order can be told in advance.

Source: P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", SIGCOMM 1996,
https://doi.org/10.1145/248156.248171 (2026-11-21)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Generic, TypeVar

_PRIORITIES = range(10)
_CALL = 1 << 24  # what a call costs at weight 1, in units of virtual time
_IDLE_KEPT = 64  # tenants without a waiting call that are remembered besides as many as wait

T = TypeVar("T", bound=Hashable)


class FairLine(Generic[T]):
    """What waits, in the order in which it will be served; an item waits once at a time."""

    __slots__ = ("_levels", "_number", "_size")

    def __init__(self) -> None:
        self._levels: list[_Level[T]] = []  # of the priorities seen so far, the highest first
        self._number = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0

    def push(self, item: T, tenant: str, priority: int = 5, weight: float = 1.0) -> None:
        """Let `item` wait behind those of its tenant; the tenant's latest weight holds.

        Raises:
            ValueError: the priority is not in 0..9, or the weight not above 0.
        """
        cost = _cost(weight)
        self._number += 1
        self._level(priority).push(item, tenant, cost, self._number)
        self._size += 1

    def pop(self) -> T:
        """Take out whose turn it is.

        Raises:
            IndexError: nobody waits.
        """
        for level in self._levels:
            if level.line:
                self._size -= 1
                return level.pop()
        raise IndexError("nobody waits")

    def remove(self, item: T) -> bool:
        """Take out one that waits no longer; False if it did not wait."""
        for level in self._levels:
            if item in level.line:
                level.remove(item)
                self._size -= 1
                return True
        return False

    def ahead(self, tenant: str, priority: int, weight: float) -> int:
        """Count who would be served before a call pushed now, if no other came."""
        cost = _cost(weight)
        count = 0
        for level in self._levels:
            if level.priority > priority:
                count += len(level.line)
            elif level.priority == priority:
                count += level.ahead(tenant, cost)
        return count

    def displace(self, tenant: str, priority: int, weight: float) -> T | None:
        """Take out who gives its place in a full line to a newcomer; None: nobody does.

        It is the newest of the lowest class below the newcomer's. Where there is none, it is
        the newest of the tenant that without it still has the most waiting per weight, and no
        less than the newcomer's tenant would then have.
        """
        for level in reversed(self._levels):
            if level.priority > priority:
                break
            if level.line:
                newest = (
                    next(reversed(level.line))
                    if level.priority < priority
                    else level.excess(tenant, _cost(weight))
                )
                if newest is not None:
                    level.remove(newest)
                    self._size -= 1
                return newest
        return None

    def _level(self, priority: int) -> _Level[T]:
        for level in self._levels:
            if level.priority == priority:
                return level
        if priority not in _PRIORITIES:
            raise ValueError(f"a priority is 0 to 9, not {priority}")
        added: _Level[T] = _Level(priority)
        self._levels.append(added)
        self._levels.sort(key=lambda level: -level.priority)
        return added


class _Share(Generic[T]):
    """One tenant in one class.

    Attributes:
        waiting: its calls in order, each with its number among all.
        start: of its first waiting call, or the earliest of its next, in virtual time.
        cost: of one call, in virtual time.
        listed: whether it stands in its class's heap.
    """

    __slots__ = ("cost", "listed", "start", "waiting")

    def __init__(self) -> None:
        self.waiting: OrderedDict[T, int] = OrderedDict()
        self.start = 0
        self.cost = _CALL
        self.listed = False

    def newest(self) -> int:
        """Return the number of its latest call."""
        return next(reversed(self.waiting.values()))


class _Level(Generic[T]):
    """One class of priority.

    The heap holds each tenant that waits once, by the start and number of its first call.
    What is taken out is not looked for in there: an entry is set right when it comes to the
    top, where it can only have stood too early.
    """

    __slots__ = ("_clock", "_heap", "_most", "_shares", "line", "priority")

    def __init__(self, priority: int) -> None:
        self.priority = priority
        self.line: OrderedDict[T, _Share[T]] = OrderedDict()  # all that wait, as they came
        self._shares: dict[str, _Share[T]] = {}
        self._heap: list[tuple[int, int, _Share[T]]] = []
        self._clock = 0
        self._most = 0  # no tenant has more than this besides its newest call, in virtual time

    def push(self, item: T, tenant: str, cost: int, number: int) -> None:
        """Let `item` wait."""
        share = self._shares.get(tenant) or self._admit(tenant)
        besides = len(share.waiting) * cost
        self._most = max(self._most, besides)
        share.cost = cost
        share.waiting[item] = number
        self.line[item] = share
        if not share.listed:
            share.listed = True
            share.start = max(share.start, self._clock)
            heappush(self._heap, (share.start, number, share))

    def pop(self) -> T:
        """Take out whose turn it is; somebody waits."""
        share = self._first()
        item, _ = share.waiting.popitem(last=False)
        del self.line[item]
        self._clock = start = share.start
        share.start = start = start + share.cost
        if share.waiting:
            heapreplace(self._heap, (start, next(iter(share.waiting.values())), share))
        elif self.line:
            share.listed = False
            heappop(self._heap)
        else:
            self._even()
        return item

    def remove(self, item: T) -> None:
        """Take out one that waits."""
        del self.line.pop(item).waiting[item]
        if not self.line:
            self._even()

    def ahead(self, tenant: str, cost: int) -> int:
        """Count who would be served before a call pushed now."""
        mine = self._shares.get(tenant)
        start = max(mine.start, self._clock) if mine else self._clock
        count = 0
        if mine and mine.waiting:
            count = len(mine.waiting)
            start = mine.start + count * cost
        for first, _, share in self._heap:
            if first <= start and share is not mine:
                calls, until = len(share.waiting), (start - first) // share.cost + 1
                count += calls if calls < until else until
        return count

    def excess(self, tenant: str, cost: int) -> T | None:
        """Find the newest call of who has the most, if that is more than a newcomer's tenant."""
        mine = self._shares.get(tenant)
        wanted = (len(mine.waiting) + 1 if mine else 1) * cost
        if wanted > self._most:
            return None
        shares = [share for share in self._shares.values() if share.waiting]
        besides = [(len(share.waiting) - 1) * share.cost for share in shares]
        self._most = most = max(besides)
        if wanted > most:
            return None
        tied = [share for share, calls in zip(shares, besides, strict=True) if calls == most]
        chosen = max(tied, key=_Share.newest)
        return None if chosen is mine else next(reversed(chosen.waiting))

    def _first(self) -> _Share[T]:
        """Return who is next, after setting right what stands before it."""
        heap = self._heap
        while True:
            start, number, share = heap[0]
            first = next(iter(share.waiting.values()), 0)
            if first == number:
                return share
            if first:
                heapreplace(heap, (start, first, share))
            else:
                share.listed = False
                heappop(heap)

    def _admit(self, tenant: str) -> _Share[T]:
        """Make room for one more tenant; what a forgotten one still owes is at most one call."""
        if len(self._shares) > 2 * len(self.line) + _IDLE_KEPT:
            self._shares = {name: share for name, share in self._shares.items() if share.waiting}
            self._heap = [entry for entry in self._heap if entry[2].waiting]
            heapify(self._heap)
        share = self._shares[tenant] = _Share()
        return share

    def _even(self) -> None:
        """Forget all tenants: nobody waits, so nobody has had too little."""
        self._shares.clear()
        self._heap.clear()
        self._most = 0


def _cost(weight: float) -> int:
    if not weight > 0:
        raise ValueError(f"a weight is more than 0, not {weight}")
    return max(1, round(_CALL / weight))

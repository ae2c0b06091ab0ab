"""How many repeated attempts a provider may get: a tenth of its load, and a few to begin with.

When a vendor fails for everybody, repeats would double its load just then. Each first attempt
earns a tenth of a repeat, and each repeat takes a whole one.
"""

from __future__ import annotations

_SHARE = 0.1  # repeated attempts add at most this to a provider's load
_RESERVE = 3.0  # so that a quiet provider gets its first repeats
_CEILING = 100.0


class RepeatBudget:
    """The repeats of one provider."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _RESERVE

    def earn(self, attempts: int = 1) -> None:
        """Count first attempts: each earns a share of a repeat; a negative number takes back."""
        left = self._left + attempts * _SHARE
        if left > _CEILING:
            self._left = _CEILING
        else:
            self._left = left if left > 0.0 else 0.0

    def take(self) -> bool:
        """Take one repeated attempt, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

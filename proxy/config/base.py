"""What all groups of settings are."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unchangeable, by name, without unknown fields."""

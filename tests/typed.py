"""What the vendors' own types say of a value, to its last item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel


def exhausted(value: Any) -> Any:
    """Walk through what pydantic validates only when it is walked through."""
    if isinstance(value, BaseModel):
        return exhausted(value.model_dump(exclude_unset=True))
    if isinstance(value, Mapping):
        return {name: exhausted(each) for name, each in value.items()}
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return value
    return [exhausted(each) for each in value]

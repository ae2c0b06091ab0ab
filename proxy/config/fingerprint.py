"""The configuration's version, as `x-headgate-config` and the metrics tell it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from proxy.config.structs import Config
from proxy.config.types import Secret

_DIGITS = 12


def fingerprint(config: Config) -> str:
    """Return 12 hexadecimal digits that differ as soon as any setting does, secrets included.

    The order of mappings counts, because that of routes' patterns does.
    """
    text = msgspec.json.encode(config, enc_hook=_revealed)
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def _revealed(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)

"""What is told: that something is out of service for so long, or no longer.

A fact is a name and a number. The name is a kind and a subject:

    circuit:<provider>/<model>            milliseconds the circuit is still open; 0: closed
    life:<provider>/<credential>/<model>  milliseconds the vendor still refuses it; 0: it works
    rest:<provider>/<credential>          milliseconds it still has to rest
    drain:<provider>[/<model>]            the rank of an operator's word (`proxy.drains`)

Times are told as durations: no two machines have the same clock. A credential is told by its
name and a short digest of its value (`main#5f0c…`): the same name for another key is another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2s

import msgspec

from proxy.breaker import Breaker
from proxy.credentials import Credential
from proxy.health import Health
from proxy.queues import ProviderUnit

CIRCUIT, LIFE, REST, DRAIN = "circuit", "life", "rest", "drain"

LONGEST_NAME = 512
"""Characters of a name; models may be called whatever clients like."""

_DIGEST_BYTES = 6


class Message(msgspec.Struct, frozen=True):
    """A fact on its way.

    Attributes:
        by: the process that tells it.
        number: the how-manieth of that process it is.
    """

    by: str
    number: int
    name: str
    value: int


def circuit_of(health: Health) -> str:
    """Return the name of a model's circuit."""
    return f"{CIRCUIT}:{health.name}"


def life_of(unit: ProviderUnit, credential: Credential, health: Health) -> str:
    """Return the name of a credential's life with a model."""
    _, _, model = health.name.partition("/")
    return f"{LIFE}:{unit.name}/{_known_as(credential)}/{model}"


def rest_of(unit: ProviderUnit, credential: Credential) -> str:
    """Return the name of a credential's rest."""
    return f"{REST}:{unit.name}/{_known_as(credential)}"


def open_ms(breaker: Breaker, now: float) -> int | None:
    """Return what there is to tell of a circuit; None: nothing, it is just being tried."""
    if breaker.state == "closed":
        return 0
    left_ms = _ms(breaker.open_until - now)
    return left_ms if breaker.state == "open" and left_ms > 0 else None


def rest_ms(credential: Credential, now: float) -> int | None:
    """Return what there is to tell of a credential's rest; None: nothing, it is over."""
    left_ms = _ms(credential.rests_until - now)
    return left_ms if left_ms > 0 else None


def breaker_of(name: str, units: Mapping[str, ProviderUnit]) -> Breaker | None:
    """Return the breaker that a name stands for; None where this process has no such thing.

    A model that nobody asked for here gets its state all the same: somebody may soon.
    """
    kind, _, rest = name.partition(":")
    provider, _, subject = rest.partition("/")
    unit = units.get(provider)
    if unit is None:
        return None
    if kind == CIRCUIT:
        return unit.health(_model(subject)).breaker
    for credential in unit.credentials:
        prefix = f"{_known_as(credential)}/"
        if subject.startswith(prefix):
            return unit.health(_model(subject[len(prefix) :])).use(credential).life
    return None


def credential_of(name: str, units: Mapping[str, ProviderUnit]) -> Credential | None:
    """Return the credential that the name of a rest stands for, if this process has it."""
    provider, _, subject = name.partition(":")[2].partition("/")
    unit = units.get(provider)
    credentials = unit.credentials if unit is not None else []
    return next((c for c in credentials if _known_as(c) == subject), None)


def _known_as(credential: Credential) -> str:
    value = credential.value.encode("utf-8", "surrogateescape")
    return f"{credential.name}#{blake2s(value, digest_size=_DIGEST_BYTES).hexdigest()}"


def _model(shown: str) -> str:
    return "" if shown == "*" else shown


def _ms(left_s: float) -> int:
    return math.ceil(left_s * 1000)

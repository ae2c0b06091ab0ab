"""How the providers of a gateway are doing, of one process or of several together.

Over several processes calls and bytes add up, and of a state the worst counts: what one of
them has learned the others will too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from proxy.credentials import Credential
from proxy.health import Health
from proxy.queues import ProviderUnit
from proxy.snapshot import Snapshot

CredentialState = Literal["well", "resting", "dead"]
CircuitState = Literal["closed", "half_open", "open"]

_MOST_NAMED = 20


class CredentialView(msgspec.Struct):
    """A credential; never its value.

    Attributes:
        refused_for: models for which the vendor refuses it, some of them.
        rest_s: how long it still has to rest, in seconds.
        busy: calls in flight.
        limit: calls that may be in flight, where that moves.
        left: share of its known limits that is free, from 0 to 1.
    """

    name: str
    state: CredentialState
    refused_for: list[str]
    rest_s: float
    busy: int
    limit: int | None
    left: float


class ModelView(msgspec.Struct):
    """A model of a provider.

    Attributes:
        failures: failed calls that its circuit counts now.
        open_s: how long its circuit is still open, in seconds.
        first_token_s: how long the first content takes now, in seconds; None: nobody knows.
        p95_s: the 95th percentile of that.
        tokens_per_s: once an answer has begun.
    """

    model: str
    circuit: CircuitState
    failures: int
    open_s: float
    busy: int
    first_token_s: float | None
    p95_s: float | None
    tokens_per_s: float | None
    drained: bool


class ProviderView(msgspec.Struct):
    """A provider.

    Attributes:
        busy: calls in flight.
        workers: calls that may be in flight.
        queued: calls that wait.
        held_bytes: of the requests in flight and waiting.
    """

    provider: str
    drained: bool
    busy: int
    workers: int
    queued: int
    held_bytes: int
    credentials: list[CredentialView]
    models: list[ModelView]


class Overview(msgspec.Struct):
    """All providers.

    Attributes:
        processes: how many this is the sum of.
    """

    processes: int
    providers: list[ProviderView]


T = TypeVar("T")

_CREDENTIAL_STATES: Sequence[CredentialState] = ("well", "resting", "dead")
_CIRCUIT_STATES: Sequence[CircuitState] = ("closed", "half_open", "open")


def overview(snapshot: Snapshot, now: float) -> Overview:
    """Return how this process sees its providers at monotonic time `now`, in seconds."""
    off = _drained_models(snapshot)
    views = [_provider(unit.unit, off, now) for unit in snapshot.units.values()]
    return Overview(1, views)


def together(overviews: Iterable[Overview]) -> Overview:
    """Return several processes as one."""
    given = list(overviews)
    providers = _by(lambda p: p.provider, (p for each in given for p in each.providers))
    return Overview(sum(each.processes for each in given), [_one(p) for p in providers.values()])


def names(snapshot: Snapshot) -> set[str]:
    """Return what may be drained: providers, and models that are configured or were used."""
    deployments = [d for route in snapshot.routes.routes.values() for d in route.deployments]
    found = {d.name for d in deployments if d.model}
    for name, unit in snapshot.units.items():
        found.add(name)
        found.update(health.name for model, health in unit.unit.healths.items() if model)
    return found


def _drained_models(snapshot: Snapshot) -> set[str]:
    """Models that the configuration drains wherever it names them."""
    deployments = [d for route in snapshot.routes.routes.values() for d in route.deployments]
    return {d.name for d in deployments if d.drained} - {
        d.name for d in deployments if not d.drained
    }


def _provider(unit: ProviderUnit, off: set[str], now: float) -> ProviderView:
    return ProviderView(
        provider=unit.name,
        drained=unit.drained,
        busy=unit.busy,
        workers=unit.workers,
        queued=unit.depth,
        held_bytes=unit.held_bytes,
        credentials=[_credential(unit, c, now) for c in unit.credentials],
        models=[
            _model(model, health, now, drained=unit.drained or health.name in off)
            for model, health in unit.healths.items()
            if model
        ],
    )


def _credential(unit: ProviderUnit, credential: Credential, now: float) -> CredentialView:
    refused = [
        model
        for model, health in unit.healths.items()
        if (state := health.uses.get(credential)) is not None and state.life.state != "closed"
    ]
    rest_s = credential.wait_s(now, 0)
    return CredentialView(
        name=credential.name,
        state="dead" if refused else "resting" if rest_s > 0 else "well",
        refused_for=refused[:_MOST_NAMED],
        rest_s=round(rest_s, 3),
        busy=credential.busy,
        limit=credential.adaptive.limit if credential.adaptive is not None else None,
        left=round(credential.left(now), 4),
    )


def _model(model: str, health: Health, now: float, *, drained: bool) -> ModelView:
    breaker = health.breaker
    left_s = breaker.open_until - now if breaker.state == "open" else 0.0
    return ModelView(
        model=model,
        circuit=breaker.state,
        failures=breaker.failures,
        open_s=round(max(0.0, left_s), 3),
        busy=health.busy,
        first_token_s=_known(health.latency_s(now, stream=True)),
        p95_s=_known(health.usual_s(stream=True) or health.usual_s(stream=False)),
        tokens_per_s=_known(health.speed.value()),
        drained=drained or health.drained,
    )


def _known(value: float | None) -> float | None:
    return round(value, 4) if value else None


def _one(views: Sequence[ProviderView]) -> ProviderView:
    """Return what several processes see of one provider."""
    credentials = _by(lambda c: c.name, (c for each in views for c in each.credentials))
    models = _by(lambda m: m.model, (m for each in views for m in each.models))
    return ProviderView(
        provider=views[0].provider,
        drained=any(each.drained for each in views),
        busy=sum(each.busy for each in views),
        workers=sum(each.workers for each in views),
        queued=sum(each.queued for each in views),
        held_bytes=sum(each.held_bytes for each in views),
        credentials=[_one_credential(same) for same in credentials.values()],
        models=[_one_model(same) for same in models.values()],
    )


def _one_credential(views: Sequence[CredentialView]) -> CredentialView:
    limits = [each.limit for each in views if each.limit is not None]
    refused = dict.fromkeys(model for each in views for model in each.refused_for)
    return CredentialView(
        name=views[0].name,
        state=max((each.state for each in views), key=_CREDENTIAL_STATES.index),
        refused_for=list(refused)[:_MOST_NAMED],
        rest_s=max(each.rest_s for each in views),
        busy=sum(each.busy for each in views),
        limit=sum(limits) if limits else None,
        left=min(each.left for each in views),
    )


def _one_model(views: Sequence[ModelView]) -> ModelView:
    return ModelView(
        model=views[0].model,
        circuit=max((each.circuit for each in views), key=_CIRCUIT_STATES.index),
        failures=sum(each.failures for each in views),
        open_s=max(each.open_s for each in views),
        busy=sum(each.busy for each in views),
        first_token_s=_mean(each.first_token_s for each in views),
        p95_s=max((each.p95_s for each in views if each.p95_s is not None), default=None),
        tokens_per_s=_mean(each.tokens_per_s for each in views),
        drained=any(each.drained for each in views),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


def _by(name: Callable[[T], str], views: Iterable[T]) -> Mapping[str, list[T]]:
    """Put together what has the same name, in the order of first sight."""
    found: dict[str, list[T]] = {}
    for view in views:
        found.setdefault(name(view), []).append(view)
    return found

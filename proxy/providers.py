"""From a provider's settings to its unit at run time, and to new settings without a new unit."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy import errands, registry
from proxy.breaker import BreakerRules
from proxy.ceilings import Ceiling
from proxy.concurrency import Adaptive
from proxy.config.resilience import Breaker
from proxy.config.resolve import ResolvedLimits, provider_limits
from proxy.config.structs import Config, Provider
from proxy.config.structs import Credential as CredentialSettings
from proxy.credentials import Credential
from proxy.queues import Bounds, ProviderUnit
from proxy.tls import tls_context
from proxy.upstream import Limits, Upstream


class Unit(NamedTuple):
    """A provider's run-time half and the settings it has."""

    settings: Provider
    limits: ResolvedLimits
    unit: ProviderUnit


def make_unit(config: Config, name: str, base_url: str, running: Mapping[str, Unit]) -> Unit:
    """Make a provider's unit, or keep the one that runs where its connections are the same.

    What else has changed is applied by `refit`, once the whole configuration is taken.

    Args:
        config: checked.
        name: of the provider.
        base_url: where the running gateway knows it better than the configuration.
        running: the units of the configuration before.

    Raises:
        ValueError, ImportError, OSError: a setting is wrong; the message is for the user.
    """
    provider = config.providers[name]
    limits = provider_limits(config, provider)
    before = running.get(name)
    if before is not None and _connections(before.settings) == _connections(provider):
        return Unit(provider, limits, before.unit)
    adapter = provider.adapter or name
    known = registry.adapter(adapter, provider.options).defaults
    told = registry.base_url(adapter, provider.base_url or base_url, provider.options)
    upstream = Upstream(
        _complete(told or known.base_url, known.base_path),
        limits=Limits(idle_connections=limits.workers),  # a burst's end must not close them
        tls=_tls(provider),
    )
    known_before = before.unit.credentials if before is not None else []
    credentials = _credentials(provider, {c.value: c for c in known_before})
    unit = ProviderUnit(name, upstream, _bounds(limits), credentials)
    send = errands.sender(upstream)
    for credential in unit.credentials:
        credential.authorizer = registry.authorizer(
            adapter, provider.options, credential.value, send
        )
    made = Unit(provider, limits, unit)
    refit(made)
    return made


def refit(unit: Unit) -> None:
    """Apply what may change while a provider runs; nobody that waits is lost by it."""
    it, limits = unit.unit, unit.limits
    it.bounds = _bounds(limits)
    it.rules = _rules(limits.breaker)
    it.probed = limits.probe.interval > 0
    for health in it.healths.values():
        health.breaker.rules = it.rules
    given = [c for c in unit.settings.credentials if c.value]
    for position, (credential, settings) in enumerate(zip(it.credentials, given, strict=False)):
        credential.name = settings.name or f"{position}"
        credential.weight = settings.weight
        credential.requests = _ceiling(credential.requests, settings.requests)
        credential.tokens = _ceiling(credential.tokens, settings.tokens)
    for credential in it.credentials:
        credential.adaptive = _adaptive(credential.adaptive, limits)
    it.look_at_limits()
    it.admit()


def _connections(provider: Provider) -> tuple[object, ...]:
    """Return the settings that a unit cannot change: where it connects to, and with what."""
    secrets = [(credential.value, credential.models) for credential in provider.credentials]
    return (
        *(provider.adapter, provider.base_url, provider.tls_verify, provider.ca),
        *(provider.options, secrets),
    )


def _credentials(provider: Provider, known: Mapping[str, Credential]) -> list[Credential]:
    """Return the provider's credentials, with what is known of those it had before."""
    return [
        _credential(settings, known.get(settings.value.reveal()))
        for settings in provider.credentials
        if settings.value
    ]


def _credential(settings: CredentialSettings, before: Credential | None) -> Credential:
    made = Credential(settings.value.reveal(), models=settings.models)
    if before is not None:
        made.rests_until = before.rests_until
        made.requests, made.tokens = before.requests, before.tokens
    return made


def _ceiling(before: Ceiling | None, limit: float | None) -> Ceiling | None:
    """Keep what a ceiling has counted."""
    if limit is None:
        return None
    if before is None:
        return Ceiling(limit)
    before.limit = limit
    return before


def _adaptive(before: Adaptive | None, limits: ResolvedLimits) -> Adaptive | None:
    settings = limits.adaptive
    if not settings.enabled:
        return None
    bounds = (min(settings.least, limits.workers), limits.workers)
    if before is not None and (before.least, before.most) == bounds:
        return before
    return Adaptive(*bounds, settings.tolerance)


def _bounds(limits: ResolvedLimits) -> Bounds:
    return Bounds(limits.workers, limits.queue, limits.queue_timeout, limits.queue_bytes)


def _rules(settings: Breaker) -> BreakerRules:
    return BreakerRules(
        failures=settings.failures,
        ratio=settings.ratio,
        window_s=settings.window,
        least=settings.least,
        open_s=settings.open,
        open_most_s=max(settings.open, settings.open_max),
        slow_start_s=settings.slow_start,
        enabled=settings.enabled,
    )


def _complete(base_url: str, base_path: str) -> str:
    """Add the path that users leave out where the vendor's own SDKs add it."""
    return base_url if urlsplit(base_url).path.strip("/") else base_url.rstrip("/") + base_path


def _tls(provider: Provider) -> ssl.SSLContext | None:
    """Return a context of the provider's own, or None for the common one."""
    if provider.tls_verify and provider.ca is None:
        return None
    context = tls_context(provider.ca)
    if not provider.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

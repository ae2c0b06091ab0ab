"""A configuration, compiled: what a request needs is looked up here and never computed.

A snapshot does not change. A new configuration makes a new one; requests under way keep
theirs. Providers whose settings stayed the same keep their connections and queues.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy import catalogue, registry
from proxy.adapter import Authorizer
from proxy.config.problems import ConfigError, Place, Problem, render_place
from proxy.config.resolve import deployment_retries, deployment_timeouts, provider_limits
from proxy.config.structs import Config, PluginEntry, Provider
from proxy.config.structs import Deployment as DeploymentSettings
from proxy.config.structs import Route as RouteSettings
from proxy.deployments import Credential, Deployment
from proxy.hooks import Chain
from proxy.patches import Patch, merge
from proxy.queues import ProviderUnit
from proxy.routing.table import Route, RouteTable
from proxy.tls import tls_context
from proxy.upstream import Limits, Upstream


class Unit(NamedTuple):
    """A provider's run-time half and the settings it was made from."""

    settings: Provider
    limits: object
    unit: ProviderUnit
    authorizer: Authorizer | None


class Snapshot(NamedTuple):
    """One compiled configuration.

    Attributes:
        version: its fingerprint, for `x-headgate-config`.
        chain: the plugins of requests that have no route.
        units: by provider.
    """

    config: Config
    version: str
    routes: RouteTable
    chain: Chain
    units: Mapping[str, Unit]


class Surroundings(NamedTuple):
    """What a compilation needs beside the configuration.

    Attributes:
        services: what plugins may ask for by the name of a parameter.
        base_urls: by provider, where the running gateway itself knows better.
    """

    services: Mapping[str, object]
    base_urls: Mapping[str, str]


def compile_config(
    config: Config, version: str, around: Surroundings, old: Snapshot | None = None
) -> Snapshot:
    """Build the snapshot of `config`, with what `old` has running.

    Args:
        config: checked.
        version: its fingerprint.
        around: what it does not say itself.
        old: the snapshot it replaces.

    Raises:
        ConfigError: a plugin refused its options.
    """
    problems: list[Problem] = []
    units = {}
    for name in config.providers:
        with _telling(problems, ("providers", name)):
            units[name] = _unit(config, name, around.base_urls.get(name, ""), old)
    if problems:
        raise ConfigError(problems)
    plugins = _Plugins(around.services, problems)
    chain = plugins.chain(config.plugins, ("plugins",))
    routes = {}
    for name, settings in config.routes.items():
        own = plugins.own(name, settings, chain)
        with _telling(problems, ("routes", name)):
            routes[name] = _route(config, units, name, settings, own)
    if problems:
        raise ConfigError(problems)
    for name, settings in config.routes.items():
        routes[name].fallbacks = [routes[f] for f in settings.fallbacks]
        routes[name].context_fallbacks = [routes[f] for f in settings.context_fallbacks]
    direct = {
        name: _route(config, units, f"{name}/*", _direct(name), chain) for name in config.providers
    }
    return Snapshot(config, version, RouteTable(routes, direct, chain), chain, units)


@contextmanager
def _telling(problems: list[Problem], place: Place) -> Iterator[None]:
    """Take what an adapter, a patch or a file says against a setting for a mistake there."""
    try:
        yield
    except (ValueError, ImportError, OSError) as error:
        problems.append(Problem("", 0, render_place(place), str(error)))


def _direct(provider: str) -> RouteSettings:
    """What `provider/model` means without having been configured."""
    return RouteSettings(deployments=[DeploymentSettings(provider=provider)])


def _unit(config: Config, name: str, base_url: str, old: Snapshot | None) -> Unit:
    provider = config.providers[name]
    limits = provider_limits(config, provider)
    before = old.units.get(name) if old else None
    if before and before.settings == provider and before.limits == limits:
        return before
    known = registry.adapter(provider.adapter or name, provider.options).defaults
    upstream = Upstream(
        _complete(provider.base_url or base_url or known.base_url, known.base_path),
        limits=Limits(idle_connections=limits.workers),  # a burst's end must not close them
        tls=_tls(provider),
    )
    unit = ProviderUnit(name, upstream, limits.workers, limits.queue, limits.queue_timeout)
    credential = provider.credentials[0].value.reveal() if provider.credentials else ""
    authorizer = registry.authorizer(provider.adapter or name, provider.options, credential)
    return Unit(provider, limits, unit, authorizer)


def _complete(base_url: str, base_path: str) -> str:
    """Add the path that users leave out where the vendor's own SDKs add it."""
    return base_url if urlsplit(base_url).path.strip("/") else base_url.rstrip("/") + base_path


class _Plugins:
    """Makes chains and keeps what went wrong, so that all of it is told at once."""

    def __init__(self, services: Mapping[str, object], problems: list[Problem]) -> None:
        self._services = services
        self._problems = problems

    def own(self, route: str, settings: RouteSettings, common: Chain) -> Chain:
        """Return the route's chain: its own, or the common one."""
        if settings.plugins is None:
            return common
        return self.chain(settings.plugins, ("routes", route, "plugins"))

    def chain(self, entries: list[PluginEntry], place: Place) -> Chain:
        """Make the plugins of one chain."""
        made = []
        for position, entry in enumerate(entries):
            try:
                made.append(registry.plugin(entry.name, entry.options, self._services))
            except (TypeError, ValueError) as error:
                where = render_place((*place, position, entry.name))
                self._problems.append(Problem("", 0, where, str(error)))
        return Chain(made)


def _route(
    config: Config, units: Mapping[str, Unit], name: str, settings: RouteSettings, chain: Chain
) -> Route:
    return Route(
        name=name,
        strategy=registry.strategy(settings.strategy),
        strategy_name=settings.strategy,
        deployments=[_deployment(config, units, settings, d) for d in settings.deployments],
        chain=chain,
    )


def _deployment(
    config: Config,
    units: Mapping[str, Unit],
    route: RouteSettings,
    settings: DeploymentSettings,
) -> Deployment:
    provider = config.providers[settings.provider]
    return Deployment(
        unit=units[settings.provider].unit,
        adapter=registry.adapter(provider.adapter or settings.provider, provider.options),
        timeouts=deployment_timeouts(config, provider, route, settings),
        retries=deployment_retries(config, provider, route, settings),
        model=settings.model or None,
        priority=settings.priority,
        weight=settings.weight,
        credentials=tuple(
            Credential(c.value.reveal(), c.name or f"{position}", c.weight, tuple(c.models))
            for position, c in enumerate(provider.credentials)
            if c.value
        ),
        headers=tuple({**provider.extra_headers, **settings.extra_headers}.items()),
        tags=dict(settings.tags),
        options=provider.options,
        patch=_patch(provider, settings),
        facts=catalogue.lookup(settings.model, provider.adapter) if settings.model else None,
        authorizer=units[settings.provider].authorizer,
    )


def _patch(provider: Provider, settings: DeploymentSettings) -> Patch | None:
    patch = Patch(
        merge(provider.extra_body, settings.extra_body), [*provider.remove, *settings.remove]
    )
    return patch if patch else None


def _tls(provider: Provider) -> ssl.SSLContext | None:
    """Return a context of the provider's own, or None for the common one."""
    if provider.tls_verify and provider.ca is None:
        return None
    context = tls_context(provider.ca)
    if not provider.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

"""A configuration, compiled: what a request needs is looked up here and never computed.

A snapshot does not change. A new configuration makes a new one; requests under way keep
theirs. Providers whose connections stayed the same keep them, and their queues with all that
waits there; what else has changed of them takes hold when the snapshot is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from proxy import registry
from proxy.config.problems import ConfigError, Place, Problem, render_place
from proxy.config.structs import Config, PluginEntry
from proxy.config.structs import Route as RouteSettings
from proxy.hooks import Chain
from proxy.keys import Keyring
from proxy.providers import Unit, make_unit
from proxy.routes import direct, link, make_route
from proxy.routing.table import RouteTable
from proxy.sharing.store import opener


class Snapshot(NamedTuple):
    """One compiled configuration.

    Attributes:
        version: its fingerprint, for `x-headgate-config`.
        chain: the plugins of requests that have no route.
        units: by provider.
        keys: whom it lets in.
    """

    config: Config
    version: str
    routes: RouteTable
    chain: Chain
    units: Mapping[str, Unit]
    keys: Keyring


class Surroundings(NamedTuple):
    """What a compilation needs beside the configuration.

    Attributes:
        keys: whom it lets in.
        services: what plugins may ask for by the name of a parameter.
        base_urls: by provider, where the running gateway itself knows better.
    """

    keys: Keyring
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
    running = old.units if old is not None else {}
    for name in config.providers:
        with _telling(problems, ("providers", name)):
            units[name] = make_unit(config, name, around.base_urls.get(name, ""), running)
    with _telling(problems, ("state", "redis")):
        if url := config.state.redis.reveal():
            opener(url)
    if problems:
        raise ConfigError(problems)
    plugins = _Plugins(around.services, problems)
    chain = plugins.chain(config.plugins, ("plugins",))
    routes = {}
    for name, settings in config.routes.items():
        own = plugins.own(name, settings, chain)
        with _telling(problems, ("routes", name)):
            routes[name] = make_route(config, units, name, settings, own)
    if problems:
        raise ConfigError(problems)
    for name, settings in config.routes.items():
        link(routes[name], settings, routes)
    alone = {
        name: make_route(config, units, f"{name}/*", direct(name), chain)
        for name in config.providers
    }
    return Snapshot(config, version, RouteTable(routes, alone, chain), chain, units, around.keys)


@contextmanager
def _telling(problems: list[Problem], place: Place) -> Iterator[None]:
    """Take what an adapter, a patch or a file says against a setting for a mistake there."""
    try:
        yield
    except (TypeError, ValueError, ImportError, OSError) as error:
        problems.append(Problem("", 0, render_place(place), str(error)))


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

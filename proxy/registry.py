"""Names in the configuration to code.

The only place where the core reaches adapters and plugins, and it does so by name: the name
in the configuration is the name of the file, or for an adapter that of a row in
`adapters/_presets.py`. The class in a file has the name of the file in capitals: `round_robin`
is `RoundRobin` in `round_robin.py`. Plugins of other distributions come by the entry point
`headgate.plugins`.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, cast

import adapters
import plugins
from proxy import routing
from proxy.adapter import Adapter, Authorizer, Send
from proxy.hooks import Plugin
from proxy.routing import Strategy

PLUGIN_GROUP = "headgate.plugins"
_NO_STRATEGY = frozenset({"table"})


@cache
def adapter_names() -> frozenset[str]:
    """Return what `adapter:` may say."""
    return frozenset(_modules(adapters)) | _presets().keys()


@cache
def strategy_names() -> frozenset[str]:
    """Return what `strategy:` may say."""
    return frozenset(_modules(routing)) - _NO_STRATEGY


@cache
def plugin_names() -> frozenset[str]:
    """Return what may stand under `plugins:`."""
    return frozenset(_modules(plugins)) | {e.name for e in entry_points(group=PLUGIN_GROUP)}


def adapter(name: str, options: Mapping[str, Any] = MappingProxyType({})) -> Adapter:
    """Return `adapters/<name>.py`, or make the preset of that name.

    A module that defines `configured` is what its options make of it.

    Raises:
        ValueError: an option is wrong; the message is for the user.
    """
    found = _adapter(name)
    configured = getattr(found, "configured", None)
    return cast(Adapter, configured(options)) if configured and options else found


@cache
def _adapter(name: str) -> Adapter:
    preset = _presets().get(name)
    return preset() if preset else cast(Adapter, import_module(f"adapters.{name}"))


def base_url(name: str, given: str, options: Mapping[str, Any]) -> str:
    """Return where an adapter's vendor is, for what a user wrote; empty where only defaults say it.

    Raises:
        ValueError: an option is wrong; the message is for the user.
    """
    make = getattr(adapter(name), "base_url", None)
    return given if make is None else str(make(given, options))


def authorizer(
    name: str, options: Mapping[str, Any], credential: str, send: Send
) -> Authorizer | None:
    """Make what authorises calls with a credential that expires or signs.

    Args:
        name: of the adapter; most have none, and a fixed credential does.
        options: the provider's own.
        credential: the configured one, or nothing.
        send: what sends the authorizer's own requests.

    Raises:
        ValueError: an option is wrong; the message is for the user.
        ImportError: a package is missing that only this vendor needs.
    """
    make = getattr(adapter(name), "authorizer", None)
    return None if make is None else cast(Authorizer | None, make(options, credential, send))


def strategy(name: str, options: Mapping[str, Any] = MappingProxyType({})) -> Strategy:
    """Make the strategy of `proxy/routing/<name>.py`.

    Raises:
        TypeError, ValueError: an option is unknown or wrong; the message is for the user.
    """
    kind = _class("proxy.routing", name)
    taken = inspect.signature(kind).parameters if kind.__init__ is not object.__init__ else {}
    if unknown := set(options) - set(taken):
        raise TypeError(f"unknown option {', '.join(sorted(unknown))}")
    return cast(Strategy, kind(**options))


def plugin(name: str, options: Mapping[str, Any], services: Mapping[str, object]) -> Plugin:
    """Make one plugin of a chain.

    Args:
        name: its file in `plugins/`, or an entry point.
        options: the constructor's keyword arguments as the configuration has them.
        services: what the gateway lends to constructors that have a parameter of that name.

    Raises:
        TypeError, ValueError: an option is unknown or wrong; the message is for the user.
    """
    kind = _plugin_class(name)
    parameters = inspect.signature(kind).parameters
    lent = {name: service for name, service in services.items() if name in parameters}
    unknown = set(options) - set(parameters) | set(options) & set(lent)
    if unknown:
        raise TypeError(f"unknown option {', '.join(sorted(unknown))}")
    made = cast(Plugin, kind(**options, **lent))
    made.name = made.name or name
    return made


@cache
def _plugin_class(name: str) -> Any:
    if name in _modules(plugins):
        return _class("plugins", name)
    found = {e.name: e for e in entry_points(group=PLUGIN_GROUP)}
    return found[name].load()


def _presets() -> Mapping[str, Callable[[], Adapter]]:
    found: Mapping[str, Callable[[], Adapter]] = import_module("adapters._presets").presets
    return found


def _modules(package: Any) -> list[str]:
    found = pkgutil.iter_modules(package.__path__)
    return [module.name for module in found if not module.name.startswith("_")]


def _class(package: str, name: str) -> Any:
    return getattr(import_module(f"{package}.{name}"), name.title().replace("_", ""))

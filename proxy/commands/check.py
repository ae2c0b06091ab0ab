"""`headgate check`: whether a configuration can be used, and what is in it."""

from __future__ import annotations

import ipaddress
from argparse import Namespace
from collections.abc import Iterable, Iterator

from proxy import app
from proxy.config.structs import Config


def run(arguments: Namespace) -> int:
    """Print a summary and what is doubtful.

    Raises:
        ConfigError: the configuration cannot be used.
    """
    config = app.load(arguments.config)
    print(f"ok: {arguments.config or 'no file, providers from the environment'}")
    print(f"  providers  {_listed(_providers(config))}")
    print(f"  routes     {_listed(_routes(config))}")
    print(f"  plugins    {_listed(entry.name for entry in config.plugins)}")
    print(f"  keys       {_listed(key.name for key in config.keys)}")
    for warning in _warnings(config):
        print(f"warning: {warning}")
    return 0


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _providers(config: Config) -> Iterator[str]:
    for name, provider in config.providers.items():
        count = len(provider.credentials)
        credentials = "1 credential" if count == 1 else f"{count} credentials"
        adapter = provider.adapter or name
        yield f"{name} ({credentials})" if adapter == name else f"{name} ({adapter}, {credentials})"


def _routes(config: Config) -> Iterator[str]:
    for name, route in config.routes.items():
        count = len(route.deployments)
        yield f"{name} ({route.strategy}, {count})" if count > 1 else name


def _warnings(config: Config) -> Iterator[str]:
    server = config.server
    if not config.keys and not _loopback(server.host):
        yield f"no client keys: whoever reaches {server.host}:{server.port} may use the credentials"
    if config.keys and server.tls is None and not _loopback(server.host):
        yield "no `server.tls`: unless something before the gateway has it, keys travel readable"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""`headgate check`: whether a configuration can be used, and what is in it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator

import uvloop

from proxy import app, live, logs
from proxy.addresses import is_loopback
from proxy.config.structs import Config


def run(arguments: Namespace) -> int:
    """Print a summary and what is doubtful; with `--live`, what works at the vendors.

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
    return _live(config) if arguments.live else 0


def _live(config: Config) -> int:
    """Call every deployment; 1 where something does not work."""
    for route in live.unnamed(config):
        print(f"warning: the route {route} has a deployment without a model, which is not called")
    print(flush=True)
    rows = uvloop.run(live.check(config, logs.configure(level="critical")))
    print(live.table(rows) if rows else "nothing to call: no deployment names a model")
    return 1 if live.failed(rows) else 0


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
        yield f"{name} ({route.strategy.name}, {count})" if count > 1 else name


def _warnings(config: Config) -> Iterator[str]:
    server = config.server
    if not config.keys and not is_loopback(server.host):
        yield f"no client keys: whoever reaches {server.host}:{server.port} may use the credentials"
    if config.keys and server.tls is None and not is_loopback(server.host):
        yield "no `server.tls`: unless something before the gateway has it, keys travel readable"

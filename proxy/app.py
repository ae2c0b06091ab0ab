"""The composition root: from a file's name to a process that serves.

Nobody imports this module but the commands.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from typing import NamedTuple

import msgspec
import structlog
import uvloop

from proxy import explain as explaining
from proxy import logs, registry, reload, tasks, workers
from proxy.adapter import Defaults
from proxy.config.fingerprint import fingerprint
from proxy.config.known import Known
from proxy.config.load import load as load_config
from proxy.config.load import located
from proxy.config.problems import ConfigError
from proxy.config.structs import Config
from proxy.errors import InvalidApiKey
from proxy.exchange import ANYONE
from proxy.gateway import SIMULATOR, Gateway, keyring
from proxy.metrics import Metrics
from proxy.sink import Sink
from proxy.snapshot import Snapshot, Surroundings, compile_config

log = structlog.get_logger()

_SOMEWHERE = "http://127.0.0.1"  # the simulator's port is found at the start
_STANDARD_ERROR = 2
_GC_YOUNG, _GC_MIDDLE, _GC_OLD = 20_000, 20, 50


class Overrides(NamedTuple):
    """What the command line says over the configuration."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None


def load(path: str | None, overrides: Overrides | None = None) -> Config:
    """Read and check a configuration; without a file, the environment says which vendors.

    Raises:
        ConfigError: with every mistake in it, those that only plugins can see included.
    """
    known = Known(
        adapters=registry.adapter_names(),
        strategies=registry.strategy_names(),
        plugins=registry.plugin_names(),
        defaults=_defaults,
        base_url=registry.base_url,
    )
    config = load_config(path, os.environ, known)
    given = overrides._asdict() if overrides else {}
    given = {name: value for name, value in given.items() if value is not None}
    server = msgspec.structs.replace(config.server, **given)
    config = msgspec.structs.replace(config, server=server)
    try:
        compiled(config)
    except ConfigError as error:
        raise located(error, path) from None
    return config


def compiled(config: Config) -> Snapshot:
    """Compile a configuration without starting anything.

    Raises:
        ConfigError: a plugin refused its options.
    """
    keys = keyring(config)
    services = {"keys": keys, "metrics": Metrics(), "sink": Sink(_STANDARD_ERROR)}
    base_urls = dict.fromkeys(config.providers, _SOMEWHERE)
    return compile_config(config, fingerprint(config), Surroundings(keys, services, base_urls))


def explain(
    config: Config, model: str, key: str | None, headers: Mapping[str, str], body: bytes
) -> str:
    """Say which deployments would serve `model`, and why the others would not.

    Args:
        config: checked.
        model: as a client would send it.
        key: a client key, or the name of one.
        headers: the request's, names in lower case.
        body: the request's; its form tells the operation. Empty means a chat.

    Raises:
        GatewayError: no route takes this name, nobody has this key, the body is no request.
    """
    keys = keyring(config)
    named = next((k for k in keys if k.name == key), None) or (keys.find(key) if key else None)
    if key and named is None:
        raise InvalidApiKey("no such key, and no key of that name")
    exchange = explaining.question(model, named or ANYONE, headers, body)
    found = explaining.explain(compiled(config), exchange, model, time.monotonic())
    return explaining.render(found)


def serve(path: str | None, overrides: Overrides) -> int:
    """Serve until told to stop; return the process's exit code.

    Raises:
        ConfigError: the configuration cannot be used.
        OSError: the address cannot be had.
    """
    read = partial(load, path, overrides)
    settings = read().server
    return workers.run(
        partial(_worker, path, read),
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        grace_s=settings.grace,
    )


def _defaults(adapter: str) -> Defaults:
    known = registry.adapter(adapter).defaults
    return known._replace(base_url=_SOMEWHERE) if adapter == SIMULATOR else known


def _worker(
    path: str | None,
    read: Callable[[], Config],
    sockets: Sequence[socket],
    metrics_in: Path | None,
) -> int:
    sink = logs.configure()
    gateway = Gateway(read(), read, sink=sink, metrics_in=metrics_in)
    uvloop.run(_run(path, gateway, sockets))
    sink.close()
    return 0


async def _run(path: str | None, gateway: Gateway, sockets: Sequence[socket]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await gateway.start(sockets)
    _settle()
    addresses = [f"{each.getsockname()[0]}:{each.getsockname()[1]}" for each in sockets]
    version = gateway.current().pipeline.snapshot.version
    log.info("serving", addresses=addresses, config=version, pid=os.getpid())
    watching = tasks.spawn(reload.watch(path, gateway.reload), name="reload")
    await stopping.wait()
    log.info("stopping")
    watching.cancel()
    await gateway.stop()


def _settle() -> None:
    """Spare the garbage collector what stays: it would walk all of it again and again.

    A large configuration alone would cost each full collection tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_YOUNG, _GC_MIDDLE, _GC_OLD)

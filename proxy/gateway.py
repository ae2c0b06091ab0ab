"""One gateway process at run time: starts the parts in order, swaps configurations, drains."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from socket import socket

import structlog

from proxy import gauges, tasks
from proxy.admin.api import Api
from proxy.config.fingerprint import fingerprint
from proxy.config.problems import ConfigError
from proxy.config.structs import Config, Tls
from proxy.fleet import Change, Fleet
from proxy.front import Front
from proxy.keys import KeyEntry, Keyring
from proxy.media import Fetcher
from proxy.metrics import Metrics
from proxy.pipeline import Pipeline
from proxy.preparing import Preparing
from proxy.probing import Prober
from proxy.providers import refit
from proxy.service import Service
from proxy.serving import Patience, Server
from proxy.sim.behaviour import Behaviour, from_options
from proxy.sim.server import Simulator
from proxy.sink import Sink
from proxy.snapshot import Snapshot, Surroundings, compile_config
from proxy.status import Status
from proxy.vault import Vault

log = structlog.get_logger()

SIMULATOR = "sim"
_BACKLOG = 4096
_POLL_S = 0.05
_TIDY_S = 2.0
_CUT_OFF_S = 0.01  # not 0: aiohttp takes that for no limit


class Gateway:
    """A process that serves: `start`, then `reload` as often as wanted, then `stop`."""

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        *,
        sink: Sink,
        metrics_in: Path | None = None,
    ) -> None:
        """Take the first configuration, and how to read the next.

        Args:
            config: checked.
            read: reads it anew; it may take its time and raise ConfigError.
            sink: where log lines go.
            metrics_in: the folder in which the workers share their numbers.
        """
        self._config = config
        self._read = read
        self._sink = sink
        self._metrics = Metrics(metrics_in)
        self._fetcher = Fetcher()
        self._preparing = Preparing(Vault(), self._fetcher)
        self._fleet = Fleet(self._snapshot, self.reconfigure, metrics_in)
        self._status = Status(self.current, self._metrics, self._away)
        self._simulators: dict[tuple[str, Behaviour], tuple[Simulator, int]] = {}
        self._living: list[Pipeline] = []
        self._probing: asyncio.Task[None] | None = None
        self._service: Service | None = None
        self._server: Server | None = None
        self._listening: list[asyncio.Server] = []
        self._changing = asyncio.Lock()

    def current(self) -> Service:
        """Return the service under the newest configuration."""
        assert self._service is not None
        return self._service

    async def start(self, sockets: Sequence[socket]) -> None:
        """Compile the configuration and begin to listen.

        Raises:
            ConfigError: a plugin refused its options.
        """
        await self._take(await self._compile(self._config, None))
        gauges.register(self._metrics, self._snapshot, self._away)
        await self._metrics.start()
        prober = Prober(self.current, self._metrics)
        self._probing = tasks.spawn(prober.run(), name="probing")
        await self._fleet.start()
        settings = self._config.server
        patience = Patience(
            keep_alive_s=settings.keep_alive,
            head_s=settings.header_timeout,
            body_s=settings.body_timeout,
            write_s=settings.write_timeout,
            max_head_bytes=settings.max_header,
        )
        admin = Api(self._snapshot, self._fleet, patience)
        self._server = Server(Front(self.current, self._status, admin, patience), patience)
        tls = server_context(settings.tls) if settings.tls else None
        loop = asyncio.get_running_loop()
        self._listening = [
            await loop.create_server(self._server, sock=each, ssl=tls, backlog=_BACKLOG)
            for each in sockets
        ]

    async def reload(self) -> None:
        """Read the configuration anew and swap it in one step; a bad one changes nothing."""
        try:
            await self.reconfigure()
        except ConfigError as error:
            log.error("configuration refused, the old one stays", problems=error.render())

    async def reconfigure(self) -> Change:
        """Do as `reload`, and say what has changed.

        Raises:
            ConfigError: the configuration cannot be used, and nothing has changed.
        """
        async with self._changing:
            config = await asyncio.to_thread(self._read)
            before = self.current().pipeline
            old = before.snapshot
            if fingerprint(config) == old.version:
                return Change(old.version, old.version)
            snapshot = await self._compile(config, old)
            await self._take(snapshot)
        log.info("configuration changed", version=snapshot.version, before=old.version)
        tasks.spawn(self._retire(before), name="retire")
        return Change(old.version, snapshot.version)

    async def stop(self) -> None:
        """Take no new work, let what is under way finish within the grace, then close."""
        self._status.draining = True
        for listening in self._listening:
            listening.close()
        grace_s = self.current().pipeline.snapshot.config.server.grace
        if self._server is not None:
            await self._drain(self._server, grace_s)
            await self._server.shutdown(_CUT_OFF_S)
        await self._fleet.close()
        if self._probing is not None:
            self._probing.cancel()
        await self._metrics.close()  # its own tasks never end: the drain would wait for them
        await tasks.drain(_TIDY_S)
        for unit in self.current().pipeline.snapshot.units.values():
            await unit.unit.upstream.close()
        await self._fetcher.close()
        for simulator, _ in self._simulators.values():
            await simulator.close()

    async def _drain(self, server: Server, grace_s: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        while server.busy() and loop.time() < end:  # noqa: ASYNC110 - aiohttp tells nobody
            await asyncio.sleep(_POLL_S)
        if left := server.busy():
            log.warning("requests cut off at the end of the grace", requests=left)

    async def _compile(self, config: Config, old: Snapshot | None) -> Snapshot:
        base_urls = await self._simulate(config)
        keys = keyring(config)
        services = {
            "keys": keys,
            "metrics": self._metrics,
            "sink": self._sink,
        }
        version = fingerprint(config)
        return compile_config(config, version, Surroundings(keys, services, base_urls), old)

    async def _simulate(self, config: Config) -> Mapping[str, str]:
        """Start what simulators the configuration has, each behind a port of its own."""
        base_urls = {}
        for name, behaviour in _simulated(config):
            running = self._simulators.get((name, behaviour))
            if running is None:
                simulator = Simulator(behaviour)
                running = (simulator, await simulator.start())
                self._simulators[name, behaviour] = running
            base_urls[name] = f"http://127.0.0.1:{running[1]}/v1"
        return base_urls

    async def _take(self, snapshot: Snapshot) -> None:
        """Serve what comes from now on under this configuration."""
        for unit in snapshot.units.values():
            refit(unit)
        self._service = Service(snapshot, self._metrics, self._preparing, self._fleet.history)
        self._living.append(self._service.pipeline)
        await self._fleet.take(snapshot)

    def _snapshot(self) -> Snapshot:
        return self.current().pipeline.snapshot

    def _away(self) -> str | None:
        return self._fleet.away

    async def _retire(self, before: Pipeline) -> None:
        """Close what only an old configuration needed, once its last exchange has ended."""
        await before.quiet()
        self._living.remove(before)
        living = [pipeline.snapshot for pipeline in self._living]
        kept = {id(unit.unit) for snapshot in living for unit in snapshot.units.values()}
        for unit in before.snapshot.units.values():
            if id(unit.unit) not in kept:
                await unit.unit.upstream.close()
        simulated = {key for snapshot in living for key in _simulated(snapshot.config)}
        for key in set(_simulated(before.snapshot.config)) - simulated:
            await self._simulators.pop(key)[0].close()


def _simulated(config: Config) -> list[tuple[str, Behaviour]]:
    """Return the providers that are simulators of this process, and how each behaves."""
    return [
        (name, from_options(provider.options))
        for name, provider in config.providers.items()
        if (provider.adapter or name) == SIMULATOR and not provider.base_url
    ]


def server_context(settings: Tls) -> ssl.SSLContext:
    """Return the TLS context for clients: 1.2 and newer, HTTP/1.1.

    Raises:
        OSError, ssl.SSLError: a file is missing or no PEM of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(settings.cert, settings.key)
    if settings.client_ca is not None:
        context.load_verify_locations(settings.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def keyring(config: Config) -> Keyring:
    """Return the keys that the configuration lets in."""
    entries = [
        KeyEntry(
            name=key.name,
            value=key.value.reveal() if key.value else "",
            hash=key.hash or "",
            user=key.user,
            team=key.team,
            routes=tuple(key.routes),
            weight=key.weight,
            priority=key.priority,
            max_priority=key.max_priority,
            regions=tuple(key.regions),
            admin=key.admin,
        )
        for key in config.keys
    ]
    return Keyring.of(entries)

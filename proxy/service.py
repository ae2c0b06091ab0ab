"""All that serves requests under one configuration, made anew when it changes."""

from __future__ import annotations

from aiohttp import web

from proxy.calls import Calls
from proxy.history import History
from proxy.metrics import Metrics
from proxy.mirrors import Mirrors
from proxy.pipeline import Pipeline, Reply, Work
from proxy.preparing import Preparing
from proxy.snapshot import Snapshot


class Service:
    """A snapshot with the parts that work on it.

    Attributes:
        operate: answers the operations that adapters translate.
    """

    def __init__(
        self, snapshot: Snapshot, metrics: Metrics, preparing: Preparing, history: History
    ) -> None:
        self.pipeline = Pipeline(snapshot, metrics, history)
        self.preparing = preparing
        self.calls = Calls(self.pipeline, preparing)
        mirrored = any(route.mirroring is not None for route in snapshot.routes.routes.values())
        self.operate: Work = (
            Mirrors(self.calls, metrics).operate if mirrored else self.calls.operate
        )
        self.cors = Cors(snapshot.config.server.cors.origins)


class Cors:
    """Which web pages may call us; nothing is said to those that may not.

    Source: https://fetch.spec.whatwg.org/#http-cors-protocol (2026-11-21)
    """

    def __init__(self, origins: list[str]) -> None:
        self._origins = frozenset(origins)
        self._any = "*" in self._origins

    def headers(self, request: web.BaseRequest) -> list[tuple[str, str]]:
        """Return what an answer to this request carries."""
        if not self._origins:
            return []
        origin = request.headers.get("Origin")
        if origin is None or not (self._any or origin in self._origins):
            return []
        return [
            ("access-control-allow-origin", "*" if self._any else origin),
            ("access-control-expose-headers", "*"),
            ("vary", "origin"),
        ]

    def preflight(self, request: web.BaseRequest) -> bool:
        """Whether a browser asks what it may do."""
        return (
            bool(self._origins)
            and request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
        )

    def answer(self, request: web.BaseRequest) -> Reply:
        """Answer a preflight."""
        asked = request.headers.get("Access-Control-Request-Headers", "*")
        allowed = [
            *self.headers(request),
            ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("access-control-allow-headers", asked),
            ("access-control-max-age", "600"),
        ]
        return Reply(204, allowed, b"")

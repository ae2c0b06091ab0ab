"""From the name a client sends as `model` to the route that serves it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from proxy.deployments import Deployment
from proxy.errors import ModelNotFound
from proxy.hooks import Chain
from proxy.routing import Strategy
from proxy.routing.priority import Priority

ANY = "*"
_NEAREST = 3
_LONGEST_S = 600.0


@dataclass(slots=True, eq=False)
class Route:
    """One route, compiled.

    Attributes:
        name: what the configuration calls it: a name, a pattern, `*` or `provider/*`.
        fallbacks: the routes to try next, already looked up.
        context_fallbacks: those to try when the prompt does not fit.
        total_s: how long an exchange may take, in seconds.
        attempts: how many an exchange may make.
    """

    name: str
    strategy: Strategy
    strategy_name: str
    deployments: Sequence[Deployment]
    chain: Chain
    fallbacks: Sequence[Route] = ()
    context_fallbacks: Sequence[Route] = ()
    total_s: float = _LONGEST_S
    attempts: int = 1

    def __post_init__(self) -> None:
        """Let the most patient deployment decide."""
        self.total_s = max((d.timeouts.total for d in self.deployments), default=_LONGEST_S)
        self.attempts = max((d.retries.attempts for d in self.deployments), default=1)


class RouteTable:
    """All routes; an exact name wins over a pattern, that over `provider/model`, then `*`."""

    def __init__(
        self, routes: Mapping[str, Route], providers: Mapping[str, Route], chain: Chain
    ) -> None:
        """Take the configured routes and, for each provider, the one that `provider/…` means.

        Args:
            routes: by name, pattern or `*`.
            providers: by the provider's name.
            chain: the plugins for what the gateway answers by itself.
        """
        self.routes = routes
        self.providers = providers
        self.any = routes.get(ANY)
        self.nowhere = Route("", Priority(), "", (), chain)
        self._patterns = [
            (name, route)
            for name, route in routes.items()
            if name != ANY and any(sign in name for sign in "*?[")
        ]

    def find(self, model: str) -> tuple[Route, str]:
        """Return the route and the model's name for deployments that have none of their own.

        Raises:
            ModelNotFound: nothing takes this name; the message has the nearest ones.
        """
        found = self.lookup(model)
        if found is None:
            raise self.unknown(model)
        return found

    def lookup(self, model: str) -> tuple[Route, str] | None:
        """Do as `find`, with None for a name that nothing takes."""
        exact = self.routes.get(model)
        if exact is not None:
            return exact, model
        for pattern, route in self._patterns:
            if fnmatchcase(model, pattern):
                return route, model
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self.providers:
            return self.providers[provider], rest
        return None if self.any is None else (self.any, model)

    def unknown(self, model: str) -> ModelNotFound:
        """Return the error for a name that nothing takes; finding the nearest costs time."""
        return ModelNotFound(self._unknown(model), param="model")

    def names(self) -> list[str]:
        """Return the names a client may send as they stand."""
        patterns = {name for name, _ in self._patterns}
        return [name for name in self.routes if name != ANY and name not in patterns]

    def _unknown(self, model: str) -> str:
        near = difflib.get_close_matches(model[:100], self.names(), n=_NEAREST, cutoff=0.5)
        shown = ascii(model[:100])
        if near:
            return f"the model {shown} does not exist; did you mean {' or '.join(near)}?"
        return f"the model {shown} does not exist; GET /v1/models lists those that do"

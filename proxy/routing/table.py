"""From the name a client sends as `model` to the route that serves it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from proxy.deployments import Deployment
from proxy.errors import ModelNotFound, NotFound
from proxy.exchange import Exchange
from proxy.hedging import Hedging
from proxy.hooks import Chain
from proxy.routing import Strategy
from proxy.routing.priority import Priority

ANY = "*"
_NEAREST = 3
_LONGEST_S = 600.0
_MOST_NAMES = 1024


@dataclass(slots=True)
class Mirroring:
    """Where copies of a share of a route's exchanges go; their answers are only compared.

    Attributes:
        share: of the exchanges, from 0 to 1.
        most: copies under way at once.
        under_way: how many are.
    """

    route: Route
    share: float
    most: int
    under_way: int = 0


@dataclass(slots=True, eq=False)
class Route:
    """One route, compiled.

    A deployment without a model of its own sends the client's, so a pattern's route is made
    anew for each name that clients use (`under`) and kept.

    Attributes:
        name: what the configuration calls it: a name, a pattern, `*` or `provider/*`.
        fallbacks: the routes to try next, already looked up.
        context_fallbacks: those to try when the prompt does not fit.
        content_fallbacks: those to try when a vendor's filter refused.
        quota_fallbacks: those to try first when quotas or rate limits are spent.
        turn: which other route serves an exchange instead, if any; None where none ever does.
        turns: those routes, by name.
        mirroring: None where nothing is mirrored.
        hedging: None where there are no hedges.
        total_s: how long an exchange may take, in seconds.
        attempts: how many an exchange may make.
        cost_micros: what they may cost together; None: no limit.
    """

    name: str
    strategy: Strategy
    strategy_name: str
    deployments: Sequence[Deployment]
    chain: Chain
    fallbacks: Sequence[Route] = ()
    context_fallbacks: Sequence[Route] = ()
    content_fallbacks: Sequence[Route] = ()
    quota_fallbacks: Sequence[Route] = ()
    turn: Callable[[Exchange], str | None] | None = None
    turns: Mapping[str, Route] = field(default_factory=dict)
    mirroring: Mirroring | None = None
    hedging: Hedging | None = None
    total_s: float = _LONGEST_S
    attempts: int = 1
    cost_micros: int | None = None
    _under: dict[str, Route] | None = None

    def __post_init__(self) -> None:
        """Let the most patient deployment decide."""
        self.total_s = max((d.timeouts.total for d in self.deployments), default=_LONGEST_S)
        self.attempts = max((d.retries.attempts for d in self.deployments), default=1)
        costs = [d.retries.cost for d in self.deployments]
        limits = [cost for cost in costs if cost is not None]
        self.cost_micros = max(limits) if costs and len(limits) == len(costs) else None
        if any(d.model is None for d in self.deployments):
            self._under = {}

    def under(self, model: str) -> Route:
        """Return this route for a client's `model`: itself, where all deployments name theirs."""
        if self._under is None or not model:
            return self
        route = self._under.get(model)
        if route is None:
            if len(self._under) >= _MOST_NAMES:  # the names are clients'
                del self._under[next(iter(self._under))]
            deployments = [d if d.model is not None else d.under(model) for d in self.deployments]
            route = self._under[model] = replace(self, deployments=deployments, _under=None)
        return route


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
            return exact if exact._under is None else exact.under(model), model
        for pattern, route in self._patterns:
            if fnmatchcase(model, pattern):
                return route.under(model), model
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self.providers:
            return self.providers[provider].under(rest), rest
        return None if self.any is None else (self.any.under(model), model)

    def unknown(self, model: str) -> ModelNotFound:
        """Return the error for a name that nothing takes; finding the nearest costs time."""
        return ModelNotFound(self._unknown(model), param="model")

    def unknown_provider(self, name: str) -> NotFound:
        """Return the error for a provider that is not configured, with the nearest names."""
        near = difflib.get_close_matches(name[:100], self.providers, n=_NEAREST, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return NotFound(f"the provider {name[:100]!a} does not exist{hint}")

    def every(self) -> Iterator[Route]:
        """Yield all routes, and those that were made of patterns for clients' names."""
        for route in (*self.routes.values(), *self.providers.values()):
            yield route
            if route._under:
                yield from list(route._under.values())

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

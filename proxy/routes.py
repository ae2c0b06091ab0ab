"""From a route's settings to the route that serves: deployments, strategy, ways to other routes."""

from __future__ import annotations

from collections.abc import Mapping

from proxy import catalogue, pricing, registry
from proxy.conditions import compile_condition
from proxy.config.resolve import deployment_retries, deployment_timeouts
from proxy.config.structs import Config, Provider
from proxy.config.structs import Deployment as DeploymentSettings
from proxy.config.structs import Route as RouteSettings
from proxy.deployments import Deployment, Price
from proxy.hedging import Hedging
from proxy.hooks import Chain
from proxy.patches import Patch, merge
from proxy.providers import Unit
from proxy.routing.table import Mirroring, Route
from proxy.turns import compile_turn

_PRICED = frozenset({"cost", "sticky"})
"""Strategies that compare prices; the first is nothing without them."""

_CURIOUS = _PRICED | {"throughput"}
"""Strategies that ask how long answers are, or how fast they are written."""

_NO_PRICES = (
    "the strategy cost needs prices: install the extra `prices` (pip install 'headgate[prices]'), "
    "or give each deployment its `price`"
)


def make_route(
    config: Config, units: Mapping[str, Unit], name: str, settings: RouteSettings, chain: Chain
) -> Route:
    """Make a route, without its ways to other routes.

    Raises:
        TypeError, ValueError: a strategy refused its options, or a patch is none.
    """
    hedge = settings.hedge
    return Route(
        name=name,
        strategy=registry.strategy(settings.strategy.name, settings.strategy.options),
        strategy_name=settings.strategy.name,
        deployments=[_deployment(config, units, settings, d) for d in settings.deployments],
        chain=chain,
        turn=compile_turn(name, settings),
        hedging=Hedging(hedge) if hedge.share else None,
    )


def link(route: Route, settings: RouteSettings, routes: Mapping[str, Route]) -> None:
    """Let a route know those it can lead to."""
    route.fallbacks = [routes[name] for name in settings.fallbacks]
    route.context_fallbacks = [routes[name] for name in settings.context_fallbacks]
    route.content_fallbacks = [routes[name] for name in settings.content_fallbacks]
    route.quota_fallbacks = [routes[name] for name in settings.quota_fallbacks]
    led = [*(when.route for when in settings.when), *(split.route for split in settings.split)]
    route.turns = {name: routes[name] for name in led}
    if (mirror := settings.mirror) is not None:
        route.mirroring = Mirroring(routes[mirror.route], mirror.share, mirror.most)


def direct(provider: str) -> RouteSettings:
    """Return what `provider/model` means without having been configured."""
    return RouteSettings(deployments=[DeploymentSettings(provider=provider)])


def _deployment(
    config: Config,
    units: Mapping[str, Unit],
    route: RouteSettings,
    settings: DeploymentSettings,
) -> Deployment:
    provider = config.providers[settings.provider]
    unit = units[settings.provider].unit
    vendor = provider.adapter or settings.provider
    quote = pricing.price if _priced(config, route) and pricing.available() else None
    if route.strategy.name == "cost" and quote is None and settings.price is None:
        raise ValueError(_NO_PRICES)
    return Deployment(
        unit=unit,
        adapter=registry.adapter(vendor, provider.options),
        timeouts=deployment_timeouts(config, provider, route, settings),
        retries=deployment_retries(config, provider, route, settings),
        health=unit.health(settings.model),
        model=settings.model or None,
        priority=settings.priority,
        weight=settings.weight,
        headers=tuple({**provider.extra_headers, **settings.extra_headers}.items()),
        tags=dict(settings.tags),
        options=provider.options,
        base_url=unit.upstream.base_url,
        patch=_patch(provider, settings),
        facts=catalogue.lookup(settings.model, vendor) if settings.model else None,
        when=compile_condition(settings.when) if settings.when is not None else None,
        region=settings.region or provider.region,
        price=_price(settings) or (quote(settings.model, vendor) if quote else None),
        drained=settings.drained or provider.drained,
        vendor=vendor,
        learns=route.strategy.name in _CURIOUS or bool(route.hedge.share),
        quote=quote,
    )


def _priced(config: Config, route: RouteSettings) -> bool:
    """Whether somebody compares prices here: else the list of them is not even read."""
    limits = [config.defaults.retries.cost, route.retries.cost]
    limits += [d.retries.cost for d in route.deployments]
    limits += [config.providers[d.provider].retries.cost for d in route.deployments]
    dear = any(limit is not None for limit in limits)
    return dear or bool(route.hedge.share) or route.strategy.name in _PRICED


def _price(settings: DeploymentSettings) -> Price | None:
    price = settings.price
    if price is None:
        return None
    cached = price.input if price.cached is None else price.cached
    return Price(price.input, price.output, cached)


def _patch(provider: Provider, settings: DeploymentSettings) -> Patch | None:
    patch = Patch(
        merge(provider.extra_body, settings.extra_body), [*provider.remove, *settings.remove]
    )
    return patch if patch else None

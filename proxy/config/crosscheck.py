"""What only the whole configuration can tell: names that must exist, files that must be there.

Every check looks at a converted configuration and adds to the report. A place that is already
in the report is left alone: its value is only a stand-in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from proxy.config.clauses import clause
from proxy.config.known import Known
from proxy.config.problems import Place, Report, quote, unknown
from proxy.config.resilience import CONDITIONS, Condition
from proxy.config.structs import Config, Deployment, Key, PluginEntry, Provider, Route
from proxy.patches import pointer

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.IGNORECASE)
_ORIGIN = re.compile(r"\*|https?://[^/\s?#]+")
_STATE_URL = re.compile(r"(redis|rediss|unix)://\S+")
_STORE_URL = re.compile(r"(sqlite:///|postgres(ql)?://)\S+")


def crosscheck(config: Config, known: Known, report: Report) -> None:
    """Add to `report` what does not fit together in `config`."""
    for check in (_server, _services, _providers, _routes, _circles, _plugins, _keys):
        check(config, known, report)


def url_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a vendor's API, or None."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"[\s\x00-\x1f]", url):
        return "must be a URL such as https://api.example.com/v1"
    if parts.username is not None:
        return "must not hold a name or a password; use credentials or extra_headers"
    if parts.query or parts.fragment:
        return "must end with the path; ? and # have no place in it"
    return None


def _server(config: Config, _: Known, report: Report) -> None:
    tls, place = config.server.tls, ("server", "tls")
    if tls is not None:
        _file(tls.cert, (*place, "cert"), report)
        _file(tls.key, (*place, "key"), report)
        _file(tls.client_ca, (*place, "client_ca"), report)
    for number, origin in enumerate(config.server.cors.origins):
        if not _ORIGIN.fullmatch(origin):
            message = f"{quote(origin)} is not an origin such as https://app.example.com, nor *"
            report.add(("server", "cors", "origins", number), message)


def _services(config: Config, _: Known, report: Report) -> None:
    redis = config.state.redis.reveal()
    if redis and not _STATE_URL.fullmatch(redis):
        report.add(("state", "redis"), "must be a redis://, rediss:// or unix:// URL, or empty")
    if not _STORE_URL.fullmatch(config.store.url.reveal()):
        report.add(("store", "url"), "must be sqlite:///file or postgresql://host/database")


def _providers(config: Config, known: Known, report: Report) -> None:
    for name, provider in config.providers.items():
        place: Place = ("providers", name)
        if not _NAME.fullmatch(name):
            report.add(place, "a provider's name has letters, digits, dots, hyphens, underscores")
        _adapter(name, provider, known, report)
        _file(provider.ca, (*place, "ca"), report)
        for number, credential in enumerate(provider.credentials):
            _patterns(credential.models, (*place, "credentials", number, "models"), report)


def _adapter(name: str, provider: Provider, known: Known, report: Report) -> None:
    place: Place = ("providers", name)
    if provider.adapter not in known.adapters:
        at = place if provider.adapter == name else (*place, "adapter")
        message = unknown(provider.adapter, "an adapter", sorted(known.adapters), "adapters")
        report.add(at, message)
    elif provider.base_url:
        problem = url_problem(provider.base_url)
        if problem:
            report.add((*place, "base_url"), problem)
    elif not known.defaults(provider.adapter).base_url:
        report.add((*place, "base_url"), f"is missing; {provider.adapter} has none of its own")


def _routes(config: Config, known: Known, report: Report) -> None:
    for name, route in config.routes.items():
        place: Place = ("routes", name)
        _patterns([name], place, report, is_list=False)
        if route.strategy.name not in known.strategies:
            strategies = sorted(known.strategies)
            message = unknown(route.strategy.name, "a strategy", strategies, "strategies")
            report.add((*place, "strategy"), message)
        for number, deployment in enumerate(route.deployments):
            _deployment(deployment, (*place, "deployments", number), config, report)
        for where, other in _next_routes(route):
            if other not in config.routes and not report.spoiled(("routes",)):
                message = unknown(other, "a route", list(config.routes), "routes")
                report.add((*place, *where), message)
        for number, when in enumerate(route.when):
            _condition(when, (*place, "when", number), report)
        if sum(split.share for split in route.split) > 1 + 1e-9:  # 33% + 56% + 11% is the whole
            report.add((*place, "split"), "the shares are more than the whole")
        _chain(route.plugins or [], (*place, "plugins"), known, report)


def _condition(condition: Condition, place: Place, report: Report) -> None:
    """Report a condition that says nothing, and what is no pointer or no comparison in it."""
    if not any(getattr(condition, what) for what in CONDITIONS):
        message = f"says nothing; give at least one of {', '.join(CONDITIONS)}"
        report.add(place, message)
    for where, wanted in condition.body.items():
        for read, given in ((pointer, where), (clause, wanted)):
            try:
                read(given)
            except ValueError as error:
                report.add((*place, "body", where), str(error))


def _deployment(deployment: Deployment, place: Place, config: Config, report: Report) -> None:
    if deployment.when is not None:
        _condition(deployment.when, (*place, "when"), report)
    if report.spoiled(("providers",)):
        return
    provider = config.providers.get(deployment.provider)
    if provider is None:
        message = unknown(deployment.provider, "a provider", list(config.providers), "providers")
        report.add((*place, "provider"), message)
        return
    patterns = [credential.models for credential in provider.credentials]
    if not deployment.model or not patterns:
        return
    if not any(_matches(deployment.model, models) for models in patterns):
        message = f"no credential of {deployment.provider} may be used for "
        report.add((*place, "model"), message + quote(deployment.model))


def _circles(config: Config, _: Known, report: Report) -> None:
    """Report routes that lead back to where they came from."""
    done: set[str] = set()
    for start in config.routes:
        path = {} if start in done else {start: _followers(config, start)}
        while path:
            name = next(reversed(path))
            follower = next(path[name], None)
            if follower is None:
                done.add(name)
                del path[name]
                continue
            place, other = follower
            if other in path:
                names = list(path)
                circle = [*names[names.index(other) :], other]
                report.add(place, f"fallbacks go in a circle: {' → '.join(circle)}")
            elif other not in done:
                path[other] = _followers(config, other)


def _followers(config: Config, name: str) -> Iterator[tuple[Place, str]]:
    """Yield the places and names of the routes that may come after the one called `name`."""
    for where, other in _next_routes(config.routes[name]):
        if other in config.routes:
            yield ("routes", name, *where), other


def _next_routes(route: Route) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what may serve in the place of this route: where it is written, and its name."""
    for group in ("fallbacks", "context_fallbacks", "content_fallbacks", "quota_fallbacks"):
        for number, name in enumerate(getattr(route, group)):
            yield (group, number), name
    for number, when in enumerate(route.when):
        yield ("when", number, "route"), when.route
    for number, split in enumerate(route.split):
        yield ("split", number, "route"), split.route
    if route.mirror is not None:
        yield ("mirror", "route"), route.mirror.route


def _plugins(config: Config, known: Known, report: Report) -> None:
    _chain(config.plugins, ("plugins",), known, report)
    if config.keys and all(entry.name != "auth" for entry in config.plugins):
        report.add(("plugins",), "there are keys, but without auth nobody is asked for one")


def _chain(entries: Sequence[PluginEntry], place: Place, known: Known, report: Report) -> None:
    for number, entry in enumerate(entries):
        if entry.name not in known.plugins:
            message = unknown(entry.name, "a plugin", sorted(known.plugins), "plugins")
            report.add((*place, number), message)


def _keys(config: Config, _: Known, report: Report) -> None:
    names: dict[str, int] = {}
    secrets: dict[str, int] = {}
    for number, key in enumerate(config.keys):
        place: Place = ("keys", number)
        _key(key, place, report)
        _patterns(key.routes, (*place, "routes"), report)
        first = names.setdefault(key.name, number)
        if first != number:
            report.add((*place, "name"), f"{quote(key.name)} is already the name of keys[{first}]")
        shown = key.value.reveal() if key.value else (key.hash or "").lower()
        first = secrets.setdefault(shown, number)
        if shown and first != number:
            report.add(place, f"is the same key as keys[{first}]")


def _key(key: Key, place: Place, report: Report) -> None:
    if not key.name:
        report.add((*place, "name"), "must not be empty")
    if (key.value is None) == (key.hash is None):
        report.add(place, "must have either a value or a hash")
    elif key.value is not None and not key.value:
        report.add((*place, "value"), "must not be empty")
    elif key.hash is not None and not _HASH.fullmatch(key.hash):
        report.add((*place, "hash"), "must be sha256: and 64 hexadecimal digits")


def _patterns(
    patterns: Sequence[str], place: Place, report: Report, *, is_list: bool = True
) -> None:
    """Report patterns that match nothing."""
    for number, pattern in enumerate(patterns):
        at = (*place, number) if is_list else place
        if not pattern.strip():
            report.add(at, "must not be empty")
        elif pattern.count("[") != pattern.count("]"):
            report.add(at, f"{quote(pattern)} has a [ or ] without the other")


def _matches(model: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(model, pattern) for pattern in patterns)


def _file(name: str | None, place: Place, report: Report) -> None:
    if name is None:
        return
    try:
        with open(name, "rb"):
            return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file name"
        report.add(place, f"cannot read {quote(name)}: {reason}")

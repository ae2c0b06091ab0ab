"""A configuration from the environment alone: what `headgate serve` has without any file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

import structlog

from proxy.adapter import Defaults
from proxy.config.crosscheck import url_problem
from proxy.config.known import Known
from proxy.config.problems import Report
from proxy.config.structs import (
    Config,
    Credential,
    Deployment,
    Key,
    PluginEntry,
    Provider,
    Route,
    State,
)
from proxy.config.types import Secret, Veiled

log = structlog.get_logger()

ENVIRONMENT = "environment"
"""What mistakes have for a file where there is none."""

SIMULATOR = "sim"
"""The adapter, and the provider, that is there even without any key."""

_PREFERRED = "openai"  # speaks the clients' own dialect, so nothing is lost on the way
_REDIS_VARIABLE = "REDIS_URL"


def discover(environ: Mapping[str, str], known: Known) -> Config:
    """Return a configuration with every provider that `environ` has a key for.

    Raises:
        ConfigError: a variable holds what cannot be used.
    """
    report = Report(ENVIRONMENT)
    providers = discovered_providers(environ, known, report)
    report.check()
    return Config(
        state=State(redis=Secret(environ.get(_REDIS_VARIABLE, ""))),
        providers=providers,
        routes=any_route(providers),
        plugins=default_chain([]),
    )


def discovered_providers(
    environ: Mapping[str, str], known: Known, report: Report
) -> dict[str, Provider]:
    """Return a provider for each adapter whose usual variable is set, and the simulator.

    A provider is called as its adapter. The one that speaks OpenAI's dialect comes first, the
    simulator last.
    """
    found = {}
    for name in sorted(known.adapters, key=lambda name: (name != _PREFERRED, name)):
        if name != SIMULATOR and (provider := _discovered(name, environ, known, report)):
            found[name] = provider
    if SIMULATOR in known.adapters:
        found[SIMULATOR] = Provider(adapter=SIMULATOR)
    return found


def _discovered(
    name: str, environ: Mapping[str, str], known: Known, report: Report
) -> Provider | None:
    """Return the provider of one adapter, if the environment has what it needs."""
    defaults = known.defaults(name)
    options = {
        option: value
        for option, variables in defaults.options.items()
        if (value := _first(variables, environ))
    }
    credential = _first((defaults.credential_variable, *defaults.also), environ)
    secrets = [Credential(value=Secret(credential))] if credential else []
    if not credential and not _machine(name, defaults, environ):
        return None
    try:
        base_url = known.base_url(name, environ.get(defaults.base_url_variable, ""), options)
        problem = url_problem(base_url) if base_url else None
    except ValueError as error:
        base_url, problem = "", str(error)
    if problem:
        report.add((defaults.base_url_variable or name,), problem)
    if not base_url and not defaults.base_url:
        return None
    return Provider(adapter=name, base_url=base_url, credentials=secrets, options=Veiled(options))


def _machine(name: str, defaults: Defaults, environ: Mapping[str, str]) -> bool:
    """Whether this machine has a credential of its own, and what is needed to use it."""
    variable = next((v for v in defaults.machine if environ.get(v)), None)
    if variable is None:
        return False
    if not _installed(defaults.package):
        reason = f"{variable} is set, but the extra for it is not: pip install 'headgate[{name}]'"
        log.warning("provider left out", provider=name, reason=reason)
        return False
    return True


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # what it is a part of is not there either
        return False


def _first(variables: Iterable[str], environ: Mapping[str, str]) -> str:
    return next((environ[name] for name in variables if name and environ.get(name)), "")


def any_route(providers: Mapping[str, Provider]) -> dict[str, Route]:
    """Return the route for every name: to the first provider, if there is one."""
    first = next(iter(providers), None)
    return {} if first is None else {"*": Route(deployments=[Deployment(provider=first)])}


def default_chain(keys: list[Key]) -> list[PluginEntry]:
    """Return the plugins where none are configured."""
    names = ["auth", "access_log"] if keys else ["access_log"]
    return [PluginEntry(name=name) for name in names]

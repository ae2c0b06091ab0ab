"""A configuration from the environment alone: what `headgate serve` has without any file."""

from __future__ import annotations

from collections.abc import Mapping

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
from proxy.config.types import Secret

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
        defaults = known.defaults(name)
        credential = environ.get(defaults.credential_variable, "")
        base_url = environ.get(defaults.base_url_variable, "")
        if name == SIMULATOR or not credential or not (base_url or defaults.base_url):
            continue
        problem = url_problem(base_url) if base_url else None
        if problem:
            report.add((defaults.base_url_variable,), problem)
        secret = Credential(value=Secret(credential))
        found[name] = Provider(adapter=name, base_url=base_url, credentials=[secret])
    if SIMULATOR in known.adapters:
        found[SIMULATOR] = Provider(adapter=SIMULATOR)
    return found


def any_route(providers: Mapping[str, Provider]) -> dict[str, Route]:
    """Return the route for every name: to the first provider, if there is one."""
    first = next(iter(providers), None)
    return {} if first is None else {"*": Route(deployments=[Deployment(provider=first)])}


def default_chain(keys: list[Key]) -> list[PluginEntry]:
    """Return the plugins where none are configured."""
    names = ["auth", "access_log"] if keys else ["access_log"]
    return [PluginEntry(name=name) for name in names]

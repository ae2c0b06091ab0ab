"""From a file to a configuration that works, or to every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from proxy.config import sources
from proxy.config.convert import convert
from proxy.config.crosscheck import crosscheck
from proxy.config.discover import any_route, default_chain, discover, discovered_providers
from proxy.config.known import Known
from proxy.config.problems import ConfigError, Place, Report, render_place
from proxy.config.structs import Config, Provider
from proxy.config.substitute import Substitution

_SCHEMA = "$schema"  # editors look for it in JSON; it is no setting


def load(path: str | None, environ: Mapping[str, str], known: Known) -> Config:
    """Return the configuration of the file at `path`; None takes the environment's alone.

    Reads files, so a running event loop should call it in a thread.

    Raises:
        ConfigError: with all mistakes, in the order of the file.
    """
    if path is None:
        return discover(environ, known)
    source = sources.read(path)
    report = Report(source.file, source.lines)
    for place, line in source.doubles:
        report.add(place, "is given twice", line)
    given = dict(source.tree) if isinstance(source.tree, dict) else source.tree
    if isinstance(given, dict):
        given.pop(_SCHEMA, None)
    config = convert(given, report, Substitution(environ, Path(path).parent))
    left_out = _left_out(given)
    if "providers" in left_out:
        providers = discovered_providers(environ, known, report)
    else:
        providers = _named(config.providers)
    config = _completed(config, left_out, providers)
    crosscheck(config, known, report)
    report.check()
    return config


def located(error: ConfigError, path: str | None) -> ConfigError:
    """Return `error` with the file, and the lines of it, that its problems' paths stand for.

    For mistakes that only show when the configuration is put to use, such as a plugin's option.
    """
    if path is None:
        return error
    lines: Mapping[Place, int] = sources.read(path).lines
    by_path = {render_place(place): line for place, line in lines.items()}
    return ConfigError(
        [p._replace(file=path, line=_nearest_line(p.path, by_path)) for p in error.problems]
    )


def _nearest_line(path: str, lines: Mapping[str, int]) -> int | None:
    while path not in lines and path:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path)


def _left_out(given: Any) -> frozenset[str]:
    """Return which groups the file leaves to us; an empty list or mapping is an answer too."""
    names = ("providers", "routes", "plugins")
    return frozenset(n for n in names if not isinstance(given, dict) or given.get(n) is None)


def _completed(config: Config, left_out: frozenset[str], providers: dict[str, Provider]) -> Config:
    return msgspec.structs.replace(
        config,
        providers=providers,
        routes=any_route(providers) if "routes" in left_out else config.routes,
        plugins=default_chain(config.keys) if "plugins" in left_out else config.plugins,
    )


def _named(providers: dict[str, Provider]) -> dict[str, Provider]:
    """Return the providers with the adapters they are called after."""
    return {
        name: msgspec.structs.replace(
            provider,
            adapter=provider.adapter or name,
            base_url=provider.base_url.rstrip("/"),
        )
        for name, provider in providers.items()
    }

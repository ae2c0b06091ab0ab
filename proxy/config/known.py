"""What names a configuration may use: told by the composition root, which alone knows all files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from proxy.adapter import Defaults


def _as_written(adapter: str, given: str, options: Mapping[str, Any]) -> str:
    return given


class Known(NamedTuple):
    """The names of what can be configured.

    Attributes:
        adapters: of the files in `adapters/`.
        strategies: of the files in `proxy/routing/`.
        plugins: of the files in `plugins/` and of other packages' entry points.
        defaults: an adapter's name to what it knows about its vendor. A base URL that only the
            running gateway knows (its own simulator's) belongs in there too.
        base_url: an adapter's name, what a user wrote and the options, to where its vendor is;
            raises ValueError where that is wrong.
    """

    adapters: frozenset[str]
    strategies: frozenset[str]
    plugins: frozenset[str]
    defaults: Callable[[str], Defaults]
    base_url: Callable[[str, str, Mapping[str, Any]], str] = _as_written

"""What a model costs at a vendor, from the list of prices of genai-prices (Pydantic Services Inc.).

The list comes with that package, which is the extra `prices`, and is as new as its release;
nothing is fetched. Reading it takes half a second and 30 MiB, so it is read when a configuration
first needs a price, and answers are kept: no request waits for it.

Source: https://github.com/pydantic/genai-prices (0.2.3, 2026-11-26)
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from proxy.deployments import Price

_PACKAGE = "genai_prices"
_MICROS = 1_000_000


@cache
def available() -> bool:
    """Whether there is a list of prices at all."""
    return find_spec(_PACKAGE) is not None


@lru_cache(maxsize=4096)
def price(model: str, vendor: str) -> Price | None:
    """Return the price of a model, or None where the list does not have one by the token.

    The list is read even for a model without a name, which later gets one of a client's.

    Args:
        model: as the vendor calls it.
        vendor: as adapters and presets are called.
    """
    listed = _listed()
    try:
        found = listed.calc_price(listed.Usage(), model, provider_id=vendor).model_price
    except LookupError:
        return None
    fresh, output = _micros(found, "input_mtok"), _micros(found, "output_mtok")
    cached = _micros(found, "cache_read_mtok")
    if fresh is None and output is None and vars(found):
        return None  # by the picture or the second
    return Price(fresh or 0, output or 0, (fresh or 0) if cached is None else cached)


@cache
def _listed() -> Any:
    """Return the package."""
    return import_module(_PACKAGE)


def _micros(found: Any, name: str) -> int | None:
    """Return millionths of a dollar for a million tokens; of a price by length the shortest's."""
    dollars = getattr(found, name)
    dollars = getattr(dollars, "base", dollars)
    return None if dollars is None else round(dollars * _MICROS)

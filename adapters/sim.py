"""The simulator as a vendor: OpenAI's dialect, an address that only this process knows.

The base URL is empty: where no configuration names one, the composition root starts a
`proxy.sim.server.Simulator` and fills it in.
"""

from __future__ import annotations

from adapters.openai import authorize, error, operations
from proxy.adapter import Defaults

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults()

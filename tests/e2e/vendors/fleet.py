"""The vendors of this folder, as parameters of tests."""

from __future__ import annotations

from typing import cast

import pytest

from tests.e2e.vendors import (
    anthropic,
    azure,
    bedrock,
    cohere,
    gemini,
    huggingface,
    mistral,
    ollama,
    openai_preset,
    vertex,
    vertex_claude,
)
from tests.e2e.vendors.replay import Format

_MODULES = (
    *(anthropic, azure, bedrock, cohere, gemini, huggingface, mistral, ollama, openai_preset),
    *(vertex, vertex_claude),
)
VENDORS = {module.__name__.rpartition(".")[2]: cast(Format, module) for module in _MODULES}
EACH = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS.keys())
FAILING = pytest.mark.parametrize(
    ("vendor", "kind"),
    [
        pytest.param(vendor, kind, id=f"{name}-{kind}")
        for name, vendor in VENDORS.items()
        for kind in vendor.FAILURES
    ],
)
"""Each vendor with each of its failures."""

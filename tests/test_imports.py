"""What is imported when nobody asked for it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("azure", "botocore", "genai_prices", "google", "pydantic")


def test_nothing_heavy_is_imported_before_a_provider_needs_it() -> None:
    """Not by starting without a file either, which looks at every vendor's defaults."""
    script = (
        "import sys; from proxy import app; app.load(None); "
        f"print([m for m in sys.modules if m.partition('.')[0] in {HEAVY}])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"

"""`headgate schema`: the JSON Schema of the configuration, for editors to complete with."""

from __future__ import annotations

import json
from argparse import Namespace

from proxy.config.schema import schema


def run(_: Namespace) -> int:
    """Print it."""
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0

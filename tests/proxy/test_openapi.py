"""What the OpenAPI document says of the gateway is so."""

from __future__ import annotations

import json
import re

from proxy.admin.api import _ANSWERS
from proxy.admin.paths import PREFIX
from proxy.openapi import document


def test_every_path_of_the_administration_is_there_with_its_method() -> None:
    """A tool that reads the document can use them."""
    paths = document()["paths"]
    for path, (method, _) in _ANSWERS.items():
        assert list(paths[path]) == [method.lower()]
    assert f"{PREFIX}exchanges/{{id}}" in paths


def test_every_schema_that_is_named_is_there() -> None:
    """A reference that leads nowhere breaks the tools that follow it."""
    made = document()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(made)))
    assert named <= made["components"]["schemas"].keys()
    assert {"Overview", "Explanation", "Drain", "Explain"} <= named

"""The paths of the administration, as OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from proxy.admin import questions
from proxy.explain import Explanation
from proxy.overview import Overview

PREFIX = "/admin/api/"

_REFERENCE = "#/components/schemas/{name}"

Operation = Callable[[str, str], dict[str, Any]]
"""A name and a summary to an OpenAPI operation that says what all have in common."""


class _Path(NamedTuple):
    """One path; None where a body has no fixed shape, or there is none."""

    method: str
    name: str
    summary: str
    body: type | None = None
    answer: type | None = None


_PATHS = {
    "deployments": _Path("get", "deployments", "How all deployments are doing.", answer=Overview),
    "drain": _Path(
        "post",
        "drain",
        "No new calls for a provider or a model, or again some.",
        questions.Drain,
        questions.Drain,
    ),
    "explain": _Path(
        "post", "explain", "What would happen to a request.", questions.Explain, Explanation
    ),
    "exchanges/{id}": _Path("get", "exchange", "What became of one of the last exchanges."),
    "config": _Path("post", "config", "Read the configuration anew."),
}


def described(operation: Operation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the paths, and the schemas they name."""
    named = {kind for path in _PATHS.values() for kind in (path.body, path.answer) if kind}
    kinds = sorted(named, key=lambda kind: kind.__name__)
    shown, schemas = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    references = dict(zip(kinds, shown, strict=True))
    paths: dict[str, Any] = {}
    for end, path in _PATHS.items():
        made = operation(f"admin_{path.name}", path.summary)
        if path.answer is not None:
            made["responses"]["200"]["content"] = _json(references[path.answer])
        if path.body is not None:
            made["requestBody"] = {"required": True, "content": _json(references[path.body])}
        paths[PREFIX + end] = {path.method: made}
    identified = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    paths[f"{PREFIX}exchanges/{{id}}"]["parameters"] = [identified]
    return paths, schemas


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}

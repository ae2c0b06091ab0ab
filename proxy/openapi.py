"""`/openapi.json`: what this gateway answers by itself, for tools that read such a page."""

from __future__ import annotations

from functools import cache
from typing import Any

from proxy.version import VERSION

_ERROR = {"$ref": "#/components/schemas/Error"}
_OPERATIONS = {
    "/v1/chat/completions": ("chat", "Create a chat completion, whole or streamed."),
    "/v1/completions": ("completions", "Create a completion, whole or streamed."),
    "/v1/embeddings": ("embeddings", "Create embeddings."),
    "/v1/responses": ("responses", "Create a response, whole or streamed."),
    "/v1/images/generations": ("images", "Create images."),
    "/v1/moderations": ("moderations", "Judge texts and images."),
    "/v1/rerank": ("rerank", "Order documents by how well they answer a query."),
}
_READS = {
    "/v1/models": ("models", "The routes and the deployments behind them."),
    "/v1/models/{model}": ("model", "One of them."),
    "/healthz": ("health", "Whether the process lives."),
    "/readyz": ("ready", "Whether it can serve, with reasons."),
    "/metrics": ("metrics", "Prometheus' exposition."),
}


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    paths: dict[str, Any] = {
        path: {"post": _operation(name, summary, body=True)}
        for path, (name, summary) in _OPERATIONS.items()
    }
    paths |= {
        path: {"get": _operation(name, summary, body=False)}
        for path, (name, summary) in _READS.items()
    }
    paths["/v1/models/{model}"]["parameters"] = [
        {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headgate",
            "version": VERSION,
            "description": "An OpenAI-compatible gateway. Bodies are those of OpenAI's API; "
            "paths under /v1/ that are not listed go through unchanged.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _error_schema()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _operation(name: str, summary: str, *, body: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "The answer."},
            "default": {
                "description": "An error that says whose fault it is.",
                "content": {"application/json": {"schema": _ERROR}},
            },
        },
    }
    if body:
        schema = {
            "type": "object",
            "required": ["model"],
            "properties": {"model": {"type": "string"}, "stream": {"type": "boolean"}},
        }
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _error_schema() -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    error = {
        "type": "object",
        "required": ["message", "type", "code", "origin", "request_id", "retryable"],
        "properties": {
            "message": {"type": "string"},
            "type": {"type": "string"},
            "param": text,
            "code": {"type": "string"},
            "origin": {"enum": ["caller", "policy", "gateway", "upstream"]},
            "provider": text,
            "upstream_status": {"type": ["integer", "null"]},
            "request_id": {"type": "string"},
            "retryable": {"type": "boolean"},
        },
    }
    return {"type": "object", "required": ["error"], "properties": {"error": error}}

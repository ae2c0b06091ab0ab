"""`/openapi.json`: what this gateway answers by itself, for tools that read such a page."""

from __future__ import annotations

from functools import cache
from typing import Any

from proxy.admin.paths import described
from proxy.version import VERSION

_JSON, _FORM = "application/json", "multipart/form-data"
_ERROR = {"$ref": "#/components/schemas/Error"}
_OPERATIONS = {
    "/v1/chat/completions": ("chat", "Create a chat completion, whole or streamed."),
    "/v1/completions": ("completions", "Create a completion, whole or streamed."),
    "/v1/embeddings": ("embeddings", "Create embeddings."),
    "/v1/responses": ("responses", "Create a response, whole or streamed."),
    "/v1/responses/input_tokens": ("input_tokens", "Count the tokens of an input."),
    "/v1/images/generations": ("images", "Create images."),
    "/v1/moderations": ("moderations", "Judge texts and images."),
    "/v1/rerank": ("rerank", "Order documents by how well they answer a query."),
    "/v1/audio/speech": ("speech", "Speak a text: sound, or events with it."),
}
_FORMS = {
    "/v1/audio/transcriptions": ("transcriptions", "Write down what was said, whole or streamed."),
    "/v1/audio/translations": ("translations", "Write down in English what was said."),
    "/v1/images/edits": ("image_edits", "Change images, whole or streamed."),
    "/v1/images/variations": ("image_variations", "Vary an image."),
}
_WITHOUT_MODEL = frozenset({"moderations", "image_edits", "image_variations"})
_PASSED = "/providers/{provider}/{path}"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
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
        path: {"post": {**_operation(name, summary), **_body(kind, name)}}
        for kind, listed in ((_JSON, _OPERATIONS), (_FORM, _FORMS))
        for path, (name, summary) in listed.items()
    }
    paths |= {path: {"get": _operation(*said)} for path, said in _READS.items()}
    paths["/v1/models/{model}"]["parameters"] = [_in_path("model")]
    paths[_PASSED] = _passed()
    administration, schemas = described(_operation)
    paths |= administration
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
            "schemas": {"Error": _error_schema(), **schemas},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _operation(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "The answer."},
            "default": {
                "description": "An error that says whose fault it is.",
                "content": {_JSON: {"schema": _ERROR}},
            },
        },
    }


def _body(kind: str, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"model": {"type": "string"}, "stream": {"type": "boolean"}},
    }
    if name not in _WITHOUT_MODEL:
        schema["required"] = ["model"]
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}


def _passed() -> dict[str, Any]:
    """Return the item of what passes through to a provider, by any method."""
    summary = "Anything of a vendor, by the path its own SDK writes; slashes are part of it."
    passed: dict[str, Any] = {
        method: _operation(f"provider_{method}", summary) for method in _METHODS
    }
    return {"parameters": [_in_path("provider"), _in_path("path")], **passed}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


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

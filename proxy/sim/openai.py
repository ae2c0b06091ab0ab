"""OpenAI's format: which path is which operation, and how an error is worded.

Source: https://platform.openai.com/docs/api-reference (2026-11-21)
"""

from __future__ import annotations

import msgspec

from proxy.sim import media, storage
from proxy.sim.chat import chat, completion
from proxy.sim.embeddings import embeddings
from proxy.sim.face import Face, Inquiry, Route, World
from proxy.sim.refusal import Refusal
from proxy.sim.responses import input_tokens, responses
from proxy.sim.script import Answer

MODELS = ("sim", "sim-mini", "sim-embedding", "sim-image", "sim-audio", "sim-moderation")


def error(refusal: Refusal) -> bytes:
    """Word a refusal."""
    document = {
        "message": refusal.message,
        "type": refusal.type,
        "param": refusal.param,
        "code": refusal.code,
    }
    return msgspec.json.encode({"error": document})


def models(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/models."""
    listed = [_model(name, world) for name in MODELS]
    body = msgspec.json.encode({"object": "list", "data": listed})
    return Answer(body=body, behaviour=world.options)


def model(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/models/{id}: every name is a model, if its options can be read."""
    name = inquiry.arguments["id"]
    behaviour = world.behaviour(name)
    return Answer(body=msgspec.json.encode(_model(name, world)), behaviour=behaviour, model=name)


def _model(name: str, world: World) -> dict[str, object]:
    return {"id": name, "object": "model", "created": world.created, "owned_by": "sim"}


face = Face(
    routes=(
        Route("POST", "/v1/chat/completions", chat),
        Route("POST", "/v1/completions", completion),
        Route("POST", "/v1/embeddings", embeddings),
        Route("GET", "/v1/models", models),
        Route("GET", "/v1/models/{id*}", model),
        Route("POST", "/v1/moderations", media.moderations),
        Route("POST", "/v1/images/generations", media.images),
        Route("POST", "/v1/images/edits", media.image_edits),
        Route("POST", "/v1/audio/speech", media.speech),
        Route("POST", "/v1/audio/transcriptions", media.transcriptions),
        Route("POST", "/v1/audio/translations", media.transcriptions),
        Route("POST", "/v1/files", storage.upload),
        Route("GET", "/v1/files", storage.files),
        Route("GET", "/v1/files/{id}", storage.file),
        Route("DELETE", "/v1/files/{id}", storage.delete_file),
        Route("GET", "/v1/files/{id}/content", storage.content),
        Route("POST", "/v1/responses", responses),
        Route("POST", "/v1/responses/input_tokens", input_tokens),
        Route("GET", "/v1/responses/{id}", storage.response),
        Route("DELETE", "/v1/responses/{id}", storage.delete_response),
        Route("GET", "/v1/responses/{id}/input_items", storage.input_items),
    ),
    error=error,
)

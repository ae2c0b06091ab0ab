"""OpenAI's paths that look at what is stored: files, and answers of the Responses API.

Source: https://platform.openai.com/docs/api-reference/files (2026-11-21)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec

from proxy.sim.face import Inquiry, World
from proxy.sim.files import File, Part, read_form
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer

MAX_PAGE = 10_000


def upload(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/files."""
    form = read_form(inquiry.content_type, inquiry.body)
    for name in ("file", "purpose"):
        if name not in form:
            raise Refusal(400, f"'{name}' is a required property", param=name)
    part = form["file"]
    file = File(
        id=world.next_id("file-"),
        filename=part.filename or "file",
        purpose=form.get("purpose", Part(b"")).text,
        content=part.content,
        created=world.created,
    )
    world.files.add(file)
    return _document(file.document, world)


def files(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/files, with `purpose`, `limit` and `after`."""
    query = parse_qs(inquiry.query)
    purpose = query.get("purpose", [""])[0]
    listed = [file.document for file in world.files.all() if purpose in ("", file.purpose)]
    if after := query.get("after", [""])[0]:
        ids = [document["id"] for document in listed]
        listed = listed[ids.index(after) + 1 :] if after in ids else []
    limit = query.get("limit", [""])[0]
    page = listed[: int(limit) if limit.isdecimal() else MAX_PAGE]
    return _document(_page(page, has_more=len(page) < len(listed)), world)


def file(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/files/{id}."""
    return _document(world.files.get(inquiry.arguments["id"]).document, world)


def delete_file(inquiry: Inquiry, world: World) -> Answer:
    """DELETE /v1/files/{id}."""
    id = inquiry.arguments["id"]
    world.files.remove(id)
    return _document({"id": id, "object": "file", "deleted": True}, world)


def content(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/files/{id}/content."""
    file = world.files.get(inquiry.arguments["id"])
    return Answer(
        body=file.content, content_type="application/octet-stream", behaviour=world.options
    )


def response(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/responses/{id}."""
    return _document(_stored(inquiry, world)["response"], world)


def delete_response(inquiry: Inquiry, world: World) -> Answer:
    """DELETE /v1/responses/{id}."""
    id = _stored(inquiry, world)["id"]
    del world.stored[id]
    return _document({"id": id, "object": "response", "deleted": True}, world)


def input_items(inquiry: Inquiry, world: World) -> Answer:
    """GET /v1/responses/{id}/input_items."""
    return _document(_page(_stored(inquiry, world)["input"], has_more=False), world)


def _stored(inquiry: Inquiry, world: World) -> dict[str, Any]:
    id = inquiry.arguments["id"]
    if id not in world.stored:
        raise Refusal(404, f"Response with id '{id}' not found.", param="id")
    return world.stored[id]


def _page(documents: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": documents,
        "first_id": documents[0].get("id") if documents else None,
        "last_id": documents[-1].get("id") if documents else None,
        "has_more": has_more,
    }


def _document(document: object, world: World) -> Answer:
    return Answer(body=msgspec.json.encode(document), behaviour=world.options)

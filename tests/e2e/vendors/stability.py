"""Stability's images: a form goes in, JSON comes out.

Source: https://platform.stability.ai/docs/api-reference (2026-11-21)
"""

from __future__ import annotations

import email
import email.message
import email.policy

from tests.e2e.vendors.replay import document

MODEL = "core"
ASKED = "POST /v2beta/stable-image/generate/core HTTP/1.1"
IMAGE = "iVBORw0KGgoAAAANSUhEUg=="

DONE = document({"image": IMAGE, "finish_reason": "SUCCESS", "seed": 343940597})
BLURRED = document({"image": IMAGE, "finish_reason": "CONTENT_FILTERED", "seed": 1})
REFUSED = document(
    {"id": "ed14db44", "name": "content_moderation", "errors": ["Your request was flagged."]}, 403
)


def fields(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form."""
    text = b"content-type: %b\r\n\r\n%b" % (content_type.encode(), body)
    parts = email.message_from_bytes(text, policy=email.policy.HTTP).iter_parts()
    return {
        str(part.get_param("name", header="content-disposition")): _text(part) for part in parts
    }


def _text(part: email.message.Message) -> str:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()

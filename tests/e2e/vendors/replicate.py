"""Replicate's predictions, which are asked for until they are done.

Source: https://replicate.com/docs/reference/http (2026-11-21)
"""

from __future__ import annotations

from typing import Any

from tests.e2e.vendors.replay import Answer, document

BASE = "/v1"
MODEL = "black-forest-labs/flux-schnell"
ASKED = "POST /v1/models/black-forest-labs/flux-schnell/predictions HTTP/1.1"
POLLED = "GET /v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu HTTP/1.1"
URL = "https://replicate.delivery/xezq/out-0.webp"


def prediction(status: str, **more: Any) -> Answer:
    """Return a prediction in one of its states."""
    found = {
        "id": "gm3qorzdhgbfurvjtvhg6dckhu",
        "model": MODEL,
        "version": "hidden",
        "input": {"prompt": "a cat"},
        "logs": "",
        "output": None,
        "error": None,
        "created_at": "2026-11-21T08:15:57.803Z",
        "urls": {"get": "https://api.replicate.com/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu"},
        **more,
    }
    return document({**found, "status": status}, 201 if status == "starting" else 200)


DONE = prediction("succeeded", output=[URL], metrics={"predict_time": 0.6})
FAILED = prediction("failed", error="CUDA out of memory")
REFUSED = prediction("failed", error="NSFW content detected. Try running it again.")
NO_MONEY = document({"title": "Insufficient credit", "detail": "Add credit.", "status": 402}, 402)

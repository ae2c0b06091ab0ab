"""What Mistral says went wrong: its gateway, its API and its validation have a form each.

    {"object": "error", "message": "…", "type": "…", "param": null, "code": "3280"}
    {"object": "error", "message": {"detail": [{"loc": ["body", …], "msg": "…"}]}}
    {"detail": [{"loc": ["body", …], "msg": "…"}]}
    {"message": "No API key found in request", "request_id": "…"}

Source: https://docs.mistral.ai/api (2026-11-21)
"""

from __future__ import annotations

from typing import Any

import msgspec

from adapters._openai_wire import UNREADABLE, words
from proxy import failures
from proxy.adapter import UpstreamResponse
from proxy.errors import UpstreamError, UpstreamFailed
from proxy.failures import VendorError

_LONGEST_WORDS = 500
_DEEPEST = 4
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "invalid_function_call": 400,
    "invalid_model": 400,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "service_tier_capacity_exceeded": 429,
}


class _Failure(msgspec.Struct):
    message: Any = None
    detail: Any = None
    type: Any = None
    code: Any = None
    param: Any = None
    raw_status_code: Any = None


_FAILURE = msgspec.json.Decoder(_Failure)


def refused(response: UpstreamResponse) -> UpstreamError:
    """Return the error of an answer whose status is one."""
    found = _read(response.body)
    said = (found and _said(found)) or words(response)
    return failures.upstream_error(response.status, said, response.headers)


def reported(data: bytes) -> UpstreamError:
    """Return the error that stands in an answer of status 200, or in a stream."""
    found = _read(data) or _Failure()
    said = _said(found) or VendorError("the provider reported an error without a message")
    status = found.raw_status_code
    if not isinstance(status, int) or not 400 <= status < 600:
        status = _STATUS_OF_TYPE.get(said.type or "", 500)
    return failures.upstream_error(status, said) if status != 500 else UpstreamFailed(said.message)


def _read(data: bytes) -> _Failure | None:
    try:
        return _FAILURE.decode(data)
    except UNREADABLE:
        return None


def _said(found: _Failure) -> VendorError | None:
    problem = found.message or found.detail
    text = _words(problem, _DEEPEST)[:_LONGEST_WORDS]
    if not text:
        return None
    param = found.param if isinstance(found.param, str) else _place(problem, _DEEPEST)
    return VendorError(text, _text(found.type), _text(found.code), param)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _words(problem: object, depth: int) -> str:
    """Return the words in a nest of details, which may itself be JSON in a string."""
    if not depth:
        return ""
    if isinstance(problem, str):
        inner = _read(problem.encode()) if problem.startswith("{") else None
        return (inner and _words(inner.message or inner.detail, depth - 1)) or problem
    if isinstance(problem, list):
        return "; ".join(filter(None, (_words(one, depth - 1) for one in problem)))
    if isinstance(problem, dict) and "msg" in problem:
        where = _path(problem.get("loc"))
        return f"{where}: {problem['msg']}" if where else str(problem["msg"])
    if isinstance(problem, dict):
        return _words(problem.get("detail") or problem.get("message"), depth - 1)
    return ""


def _place(problem: object, depth: int) -> str | None:
    """Return the first member of the request that a nest of details names."""
    if depth and isinstance(problem, dict):
        return _path(problem.get("loc")) or _place(problem.get("detail"), depth - 1)
    if depth and isinstance(problem, list) and problem:
        return _place(problem[0], depth - 1)
    return None


def _path(loc: object) -> str | None:
    """Return ["body", "messages", 0, "user", "name"] as "messages[0].user.name"."""
    if not isinstance(loc, list):
        return None
    names = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(names).removeprefix(".body").removeprefix(".") or None

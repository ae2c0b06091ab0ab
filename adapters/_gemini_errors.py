"""What Google's hosts say when they refuse, in answers and inside streams.

Source: https://cloud.google.com/apis/design/errors and
https://ai.google.dev/gemini-api/docs/troubleshooting (2026-11-21)
"""

from __future__ import annotations

import re

import msgspec

from adapters._gemini_answer import NULL, Answer, Feedback, read
from proxy import failures
from proxy.adapter import Headers, UpstreamResponse
from proxy.errors import ContentFiltered, UpstreamBadResponse, UpstreamError
from proxy.failures import VendorError

STATUSES = {
    **{"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400},
    **{"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404},
    **{"ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 499},
    **{"INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500, "UNIMPLEMENTED": 501},
    **{"UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504},
}
"""The HTTP status of a status by name, where only the name is given."""

_KEY_REASONS = re.compile(r"API_KEY_|CREDENTIALS_MISSING|ACCESS_TOKEN_")
_POLICY = re.compile(r"Responsible AI practices|violates? .{0,40}polic", re.IGNORECASE)
_SECONDS = re.compile(r"([0-9.]+)s")


class _Detail(msgspec.Struct, rename="camel", gc=False):
    reason: str | None = None
    retry_delay: str | None = None


class _Error(msgspec.Struct):
    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _Envelope(msgspec.Struct):
    error: _Error | str | None = None


_ERROR = msgspec.json.Decoder(_Error | str | None)
_ENVELOPE = msgspec.json.Decoder(_Envelope | list[_Envelope])
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"error": {"code", "message", "status", "details"}}`, alone or in a list."""
    found = _enclosed(response.body)
    return _failure(response.status, found, response.headers)


def answer(data: bytes) -> Answer:
    """Read an answer or an event, which may be an error in place of one.

    Raises:
        UpstreamBadResponse: it is neither.
        UpstreamError: it is an error.
    """
    try:
        found = read(data)
    except UpstreamBadResponse:
        raise_enclosed(data)
        raise
    if found.error is not NULL and bytes(found.error) != b"null":
        raise _failure(None, _decoded(bytes(found.error)))
    return found


def raise_enclosed(data: bytes) -> None:
    """Raise the error that `data` is; nothing happens if it is none.

    Inside a stream some hosts send an error as bare JSON, without the `data:` of an event.
    """
    found = _enclosed(data)
    if found is not None:
        raise _failure(None, found)


def blocked(feedback: Feedback) -> ContentFiltered:
    """Return the error for a prompt that the filter refused."""
    words = feedback.block_reason_message or "no answer was generated"
    return ContentFiltered(f"the provider blocked the prompt ({feedback.block_reason}): {words}")


def _enclosed(data: bytes) -> _Error | None:
    try:
        found = _ENVELOPE.decode(data)
    except _UNREADABLE:
        return None
    for envelope in found if isinstance(found, list) else [found]:
        if envelope.error:
            said = envelope.error
            return _Error(message=said) if isinstance(said, str) else said
    return None


def _decoded(raw: bytes) -> _Error:
    try:
        said = _ERROR.decode(raw)
    except _UNREADABLE:
        return _Error(message=raw[:500].decode("utf-8", "replace"))
    return said if isinstance(said, _Error) else _Error(message=said)


def _failure(status: int | None, said: _Error | None, headers: Headers = ()) -> UpstreamError:
    """Return our error; `status` is None inside a 200, where the error itself has it."""
    said = said or _Error()
    real = status or _status(said)
    details = said.details or []
    is_key = any(_KEY_REASONS.match(detail.reason or "") for detail in details)
    message = said.message or said.status or f"the provider answered with status {real}"
    code = "content_filter" if _POLICY.search(message) else said.status
    found = failures.upstream_error(
        401 if is_key else real, VendorError(message, said.status, code), headers
    )
    found.upstream_status = real
    for detail in details:
        if detail.retry_delay and (seconds := _SECONDS.fullmatch(detail.retry_delay)):
            found.retry_after_s = float(seconds[1])
    return found


def _status(said: _Error) -> int:
    if isinstance(said.code, int) and 400 <= said.code < 600:
        return said.code
    return STATUSES.get(said.status or "", 500)

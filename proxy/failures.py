"""A vendor's HTTP status to the error the client sees.

Adapters read their vendor's words; what a status means for blame and for retries is the
same for all of them and stands here once.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Sequence

from proxy import faults
from proxy.adapter import Headers, header
from proxy.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejected,
)
from proxy.faults import VendorError
from proxy.resets import OPENAI, Limit, reset_s

__all__ = ["VendorError", "retry_after_s", "upstream_error"]

_LONGEST_WAIT_S = 366 * 86400
_RETRYABLE_4XX = frozenset({408, 409, 425})
_CONTEXT = re.compile(
    r"context.{0,12}length|maximum context|too many (?:input )?tokens|(?:prompt|input) is too long"
    r"|exceeds? the (?:model.s )?(?:context|maximum context).{0,20}(?:window|tokens)"
    r"|input token count.{0,40}exceeds",
    re.IGNORECASE,
)
_FLAGGED = re.compile(r"requires moderation and your input was flagged", re.IGNORECASE)
_BY_STATUS_ALONE = frozenset({"caller_fault", "credential", "rate_limit"})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})


def upstream_error(
    status: int,
    said: VendorError,
    headers: Headers = (),
    limits: Sequence[Limit] = OPENAI,
) -> UpstreamError:
    """Return the error for a vendor's answer of `status`.

    Args:
        status: of the answer.
        said: its words.
        headers: of the answer.
        limits: what its headers call the vendor's limits.
    """
    error = _by_status(status, said)
    error.upstream_status = status
    error.param = said.param
    error.retry_after_s = retry_after_s(headers)
    if status == 429 and error.retry_after_s is None:
        error.retry_after_s = _sensible_or_none(reset_s(headers, limits, time.time()))
    if error.failure in _BY_STATUS_ALONE:
        error.failure = faults.failure(status, said) or error.failure
    return error


def _by_status(status: int, said: VendorError) -> UpstreamError:
    if status == 403 and _FLAGGED.search(said.message):
        return ContentFiltered(said.message)
    if status in (401, 403):
        # The words may name our credential or account: the client gets none of them.
        return UpstreamAuth(f"the provider refused the gateway's credential (status {status})")
    if status == 429:
        return UpstreamRateLimited(said.message)
    if 400 <= status < 500:
        return _rejected(status, said)
    if status >= 500:
        return UpstreamFailed(said.message)
    return UpstreamBadResponse(f"the provider answered with status {status}")


def _rejected(status: int, said: VendorError) -> UpstreamError:
    if said.code in _FILTER_CODES:
        return ContentFiltered(said.message)
    if said.code == "context_length_exceeded" or (
        status in (400, 413, 422) and _CONTEXT.search(said.message)
    ):
        return ContextLengthExceeded(said.message)
    error = UpstreamRejected(said.message)
    error.status = status
    if status in _RETRYABLE_4XX:
        error.retryable, error.failure = True, "transient"
    return error


def retry_after_s(headers: Headers) -> float | None:
    """Read `retry-after-ms` or `retry-after` (seconds or a date); None if absent or odd."""
    millis = header(headers, "retry-after-ms")
    value = header(headers, "retry-after")
    try:
        if millis is not None:
            return _sensible(float(millis) / 1000)
        if value is None:
            return None
        if re.fullmatch(r"[0-9.]+", value.strip()):
            return _sensible(float(value))
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _sensible_or_none(seconds: float | None) -> float | None:
    return None if seconds is None else _sensible(seconds)


def _sensible(seconds: float) -> float | None:
    """A vendor's number may be anything; what nobody would wait for says nothing."""
    if seconds <= 0:
        return 0.0
    return seconds if seconds <= _LONGEST_WAIT_S else None

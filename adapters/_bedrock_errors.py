"""The service's errors, by the names it gives them.

The name says more than the status: 424 is a model that failed, and 400 may be a quota. The
same errors come as HTTP answers, where `x-amzn-errortype` names them, and inside streams.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
(2026-11-21)
"""

from __future__ import annotations

import re

import msgspec

from proxy import failures
from proxy.adapter import Headers, UpstreamResponse, header
from proxy.errors import UpstreamError
from proxy.failures import VendorError

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

STATUSES = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignature": 403,
    "IncompleteSignatureException": 403,
    "InternalFailure": 500,
    "InternalServerException": 500,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "ModelErrorException": 502,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 502,
    "ModelTimeoutException": 504,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 429,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "TooManyRequestsException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
"""What each name means, as the HTTP status of a vendor that had no names."""

_CODES = (
    (re.compile(r"input is too long|input tokens exceeded", re.I), "context_length_exceeded"),
    (re.compile(r"input length and `?max_tokens`? exceed", re.I), "context_length_exceeded"),
    (re.compile(r"blocked by our content filter", re.I), "content_filter"),
)


class Said(msgspec.Struct):
    """An error's body; its words stand under one of three names."""

    message: str | None = None
    other: str | None = msgspec.field(default=None, name="Message")
    original: str | None = msgspec.field(default=None, name="originalMessage")
    type: str | None = msgspec.field(default=None, name="__type")

    @property
    def words(self) -> str:
        """What went wrong, in the service's words."""
        return self.message or self.other or self.original or ""


_SAID = msgspec.json.Decoder(Said)


def said(body: bytes) -> Said:
    """Read an error's body; empty where it is none."""
    try:
        return _SAID.decode(body)
    except UNREADABLE:
        return Said()


def named(name: str, words: str) -> UpstreamError:
    """Return the error the service calls `name`; it may begin with a small letter."""
    kind = name[:1].upper() + name[1:]
    return _error(kind, words, STATUSES.get(kind, 502))


def answered(response: UpstreamResponse) -> UpstreamError:
    """Return the error an HTTP answer is; its name has a URL or a namespace around it."""
    body = said(response.body)
    name = (header(response.headers, "x-amzn-errortype") or body.type or "").partition(":")[0]
    kind = name.rpartition("#")[2]
    words = body.words or f"the provider answered with status {response.status}"
    error = _error(kind, words, STATUSES.get(kind, response.status), response.headers)
    error.upstream_status = response.status
    return error


def _error(kind: str, words: str, status: int, headers: Headers = ()) -> UpstreamError:
    code = next((code for pattern, code in _CODES if pattern.search(words)), None)
    message = words or f"the provider reported {kind or 'an error without a name'}"
    return failures.upstream_error(status, VendorError(message, kind or None, code), headers)

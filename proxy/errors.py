"""Everything that can go wrong, and whose fault it is.

`code` is the closed vocabulary that answers, logs and metrics share; `origin` says who has
to act. Foreign exceptions are translated into this tree where they are caught first.

GatewayError
├── CallerError              caller: answered as is, never retried
│   ├── InvalidRequest           400 invalid_request
│   ├── InvalidApiKey            401 invalid_api_key
│   ├── NotFound                 404 not_found
│   ├── ModelNotFound            404 model_not_found
│   ├── MethodNotAllowed         405 method_not_allowed
│   ├── RequestTimeout           408 request_timeout
│   ├── RequestTooLarge          413 request_too_large
│   ├── UnsupportedMediaType     415 unsupported_media_type
│   ├── InvalidConfiguration     422 invalid_configuration
│   └── ClientGone               499 client_gone, log only
├── PolicyError              policy: what the operator forbade
│   ├── NotAllowed               403 not_allowed
│   ├── RateLimited              429 rate_limited
│   └── InsufficientQuota        429 insufficient_quota
├── ServiceError             gateway: our own limits and mistakes
│   ├── InternalError            500 internal_error
│   ├── QueueFull                503 queue_full
│   ├── QueueTimeout             503 queue_timeout
│   ├── NoDeployment             503 no_deployment
│   └── ShuttingDown             503 shutting_down
└── UpstreamError            upstream: may be retried on another deployment
    ├── UpstreamRejected         the vendor's 4xx, same status
    │   ├── ContextLengthExceeded    400 context_length_exceeded
    │   └── ContentFiltered          400 content_filter
    ├── UpstreamAuth             502 upstream_auth
    ├── UpstreamRateLimited      429 upstream_rate_limited
    ├── UpstreamFailed           502 upstream_error
    ├── UpstreamUnreachable      502 upstream_unreachable
    ├── UpstreamTimeout          504 upstream_timeout
    ├── UpstreamBadResponse      502 upstream_bad_response
    └── UpstreamTruncated        502 upstream_truncated
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

Origin = Literal["caller", "policy", "gateway", "upstream"]
Phase = Literal["connect", "send", "first_token", "idle", "whole", "total"]
Failure = Literal[
    "credential",
    "model_access",
    "quota",
    "model_gone",
    "region",
    "rate_limit",
    "caller_fault",
    "context_length",
    "content_filter",
    "transient",
    "unknown",
    "unsent",
]
"""What went wrong, as far as it decides what to try next: see `proxy.remedies`."""


class GatewayError(Exception):
    """Base of all errors a client may see.

    Attributes:
        status: HTTP status of the answer.
        type: OpenAI's `error.type`.
        code: OpenAI's `error.code`, from the closed list drawn above.
        origin: who has to act.
        failure: its class, which decides what is tried next.
        retryable: whether a repetition of the same call may end better.
        should_retry: what `x-should-retry` tells the client's SDK; None leaves it to the SDK.
        message: for the client; never holds a credential.
        param: the request's field at fault.
        retry_after_s: seconds until a repetition makes sense.
        provider: whose answer it was.
        upstream_status: the vendor's own HTTP status.
        headers: further headers of the answer, in lower case.
        attempts: what was tried, where that was more than one thing.
    """

    status: int = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    origin: ClassVar[Origin] = "gateway"
    failure: Failure = "caller_fault"
    retryable: bool = False
    should_retry: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        upstream_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.upstream_status = upstream_status
        self.provider: str | None = None
        self.headers: dict[str, str] = {}
        self.attempts: list[dict[str, Any]] = []

    def document(self, request_id: str) -> dict[str, Any]:
        """Return OpenAI's error object, with our fields beside theirs."""
        document = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
            "origin": self.origin,
            "provider": self.provider,
            "upstream_status": self.upstream_status,
            "request_id": request_id,
            "retryable": (self.retryable or self.status == 429)
            if self.should_retry is None
            else self.should_retry,
        }
        return {**document, "attempts": self.attempts} if self.attempts else document


class CallerError(GatewayError):
    """The request cannot be served as it was sent."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    origin = "caller"
    should_retry = False


class InvalidRequest(CallerError):
    """No JSON, a wrong type, a missing field; `param` names it."""


class InvalidApiKey(CallerError):
    """No client key, or one nobody was given."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class NotFound(CallerError):
    """No such path."""

    status = 404
    code = "not_found"


class ModelNotFound(CallerError):
    """No route takes this model's name."""

    status = 404
    code = "model_not_found"


class MethodNotAllowed(CallerError):
    """The path exists, for another method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(CallerError):
    """The client sent its request too slowly."""

    status = 408
    code = "request_timeout"


class RequestTooLarge(CallerError):
    """The body is over the limit."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaType(CallerError):
    """The body comes in a form this path does not read."""

    status = 415
    code = "unsupported_media_type"


class InvalidConfiguration(CallerError):
    """A new configuration that cannot be used; the old one stays."""

    status = 422
    code = "invalid_configuration"

    def __init__(self, message: str, problems: Sequence[str]) -> None:
        super().__init__(message)
        self.problems = list(problems)

    def document(self, request_id: str) -> dict[str, Any]:
        """Return OpenAI's error object with one line a mistake."""
        return {**super().document(request_id), "problems": self.problems}


class ClientGone(CallerError):
    """The client left; nobody sees this answer, the log does."""

    status = 499
    code = "client_gone"


class PolicyError(GatewayError):
    """The operator's rules forbid it."""

    status = 403
    type = "permission_error"
    code = "not_allowed"
    origin = "policy"
    should_retry: bool | None = False


class NotAllowed(PolicyError):
    """This key may not do this."""


class RateLimited(PolicyError):
    """Our own rate limit; `retry_after_s` is the true rest of the wait."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limited"
    should_retry = None


class InsufficientQuota(PolicyError):
    """Our own budget or quota is spent."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"


class ServiceError(GatewayError):
    """The gateway itself cannot serve it."""


class InternalError(ServiceError):
    """A mistake of ours; the log has the details."""


class QueueFull(ServiceError):
    """A provider's queue has no place left."""

    status = 503
    type = "overloaded_error"
    code = "queue_full"
    failure: Failure = "unsent"
    should_retry = True


class QueueTimeout(QueueFull):
    """The call waited too long for a worker."""

    code = "queue_timeout"


class NoDeployment(ServiceError):
    """The route has no deployment that could be tried."""

    status = 503
    code = "no_deployment"
    failure: Failure = "unsent"


class ShuttingDown(ServiceError):
    """The process is draining."""

    status = 503
    type = "overloaded_error"
    code = "shutting_down"
    should_retry = True


class UpstreamError(GatewayError):
    """The vendor failed or answered something we cannot pass on."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    origin = "upstream"
    failure: Failure = "transient"
    retryable = True


class UpstreamRejected(UpstreamError):
    """The vendor refused this request: same status, the vendor's words."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    failure: Failure = "caller_fault"
    retryable = False
    should_retry = False


class ContextLengthExceeded(UpstreamRejected):
    """The prompt does not fit the model."""

    code = "context_length_exceeded"
    failure: Failure = "context_length"


class ContentFiltered(UpstreamRejected):
    """The vendor's filter refused the prompt."""

    code = "content_filter"
    failure: Failure = "content_filter"


class UpstreamAuth(UpstreamError):
    """The vendor refused our credential; a 401 would blame the client's key."""

    code = "upstream_auth"
    failure: Failure = "credential"


class UpstreamRateLimited(UpstreamError):
    """The vendor's rate limit; its `retry-after` is passed on."""

    status = 429
    type = "rate_limit_error"
    code = "upstream_rate_limited"
    failure: Failure = "rate_limit"


class UpstreamFailed(UpstreamError):
    """The vendor answered 5xx, or said so inside a 200."""


class UpstreamUnreachable(UpstreamError):
    """No connection to the vendor, or it broke before the answer."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The vendor took too long; `phase` says where."""

    status = 504
    type = "timeout_error"
    code = "upstream_timeout"

    def __init__(self, phase: Phase, limit_s: float) -> None:
        super().__init__(f"the provider did not answer in time ({phase}, limit {limit_s:g} s)")
        self.phase = phase

    def document(self, request_id: str) -> dict[str, Any]:
        """Return OpenAI's error object with the phase that took too long."""
        return {**super().document(request_id), "phase": self.phase}


class UpstreamBadResponse(UpstreamError):
    """The vendor's answer cannot be read."""

    code = "upstream_bad_response"
    failure: Failure = "unknown"


class UpstreamTruncated(UpstreamError):
    """The vendor's answer stopped before its end."""

    code = "upstream_truncated"


def _codes(base: type[GatewayError]) -> Iterator[str]:
    yield base.code
    for child in base.__subclasses__():
        yield from _codes(child)


CODES = frozenset(_codes(GatewayError))
"""Every `error.code` there is, ours and the vendors' as we name them."""

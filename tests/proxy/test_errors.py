"""The tree of errors: whose fault, which status, which code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import msgspec
import pytest

from proxy import errors
from proxy.errors import (
    CODES,
    CallerError,
    GatewayError,
    InsufficientQuota,
    InternalError,
    PolicyError,
    QueueFull,
    RateLimited,
    ServiceError,
    UpstreamError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

DRAWN = re.compile(r"[├└]── (\w+) +(?:(\d{3}) ([a-z_]+))?")
ORIGINS = {
    CallerError: "caller",
    PolicyError: "policy",
    ServiceError: "gateway",
    UpstreamError: "upstream",
}


def tree(base: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """Yield all errors below `base`."""
    for child in base.__subclasses__():
        yield child
        yield from tree(child)


ALL = sorted(set(tree(GatewayError)), key=lambda kind: kind.__name__)
OURS = [kind for kind in ALL if kind.__module__ == errors.__name__]


def test_the_drawing_shows_every_error_as_it_is() -> None:
    """The docstring is what people read first."""
    drawn = {name: (status, code) for name, status, code in DRAWN.findall(errors.__doc__ or "")}

    assert drawn.keys() == {kind.__name__ for kind in OURS}
    for kind in OURS:
        status, code = drawn[kind.__name__]
        if status:
            assert (str(kind.status), kind.code) == (status, code)


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_says_whose_fault_it_is(kind: type[GatewayError]) -> None:
    """The branch decides, so that nobody can forget it."""
    branch = next(base for base in ORIGINS if issubclass(kind, base))

    assert kind.origin == ORIGINS[branch]
    assert kind.code in CODES
    assert 400 <= kind.status <= 599


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_only_what_a_vendor_did_is_tried_elsewhere(kind: type[GatewayError]) -> None:
    """A mistake of the client's or of ours is the same everywhere."""
    assert not kind.retryable or issubclass(kind, UpstreamError)
    assert not (issubclass(kind, UpstreamRejected) and kind.retryable)


def test_an_error_is_written_as_openai_writes_it() -> None:
    """With our fields beside theirs."""
    error = UpstreamFailed("broken", upstream_status=529)
    error.provider = "p"

    assert msgspec.json.decode(msgspec.json.encode(error.document("req_1"))) == {
        "message": "broken",
        "type": "upstream_error",
        "param": None,
        "code": "upstream_error",
        "origin": "upstream",
        "provider": "p",
        "upstream_status": 529,
        "request_id": "req_1",
        "retryable": True,
    }


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (RateLimited("x"), True),
        (UpstreamRateLimited("x"), True),
        (InsufficientQuota("x"), False),
        (QueueFull("x"), True),
        (UpstreamFailed("x"), True),
        (UpstreamRejected("x"), False),
        (InternalError("x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_client_is_told_whether_to_try_again(error: GatewayError, retryable: bool) -> None:
    """The body never contradicts `x-should-retry`."""
    assert error.document("")["retryable"] is retryable
    if error.should_retry is not None:
        assert error.document("")["retryable"] is error.should_retry


def test_a_timeout_names_its_phase() -> None:
    """Whoever reads it knows which limit to raise."""
    error = UpstreamTimeout("first_token", 2.5)

    assert "first_token, limit 2.5 s" in error.message
    assert error.document("")["phase"] == "first_token"


def test_errors_do_not_share_what_is_added_to_them() -> None:
    """One answer's headers are not another's."""
    one, other = InternalError("a"), InternalError("b")
    one.headers["allow"] = "GET"

    assert other.headers == {}


def test_every_error_has_a_sentence_for_whoever_meets_it() -> None:
    """Its own, not its parent's."""
    assert [kind for kind in OURS if not inspect.cleandoc(kind.__doc__ or "")] == []

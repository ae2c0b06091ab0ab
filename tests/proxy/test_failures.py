"""A vendor's status to the error the client sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

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
from proxy.failures import VendorError, retry_after_s, upstream_error


@pytest.mark.parametrize(
    ("status", "kind", "ours", "retryable"),
    [
        (400, UpstreamRejected, 400, False),
        (404, UpstreamRejected, 404, False),
        (408, UpstreamRejected, 408, True),
        (409, UpstreamRejected, 409, True),
        (413, UpstreamRejected, 413, False),
        (418, UpstreamRejected, 418, False),
        (422, UpstreamRejected, 422, False),
        (425, UpstreamRejected, 425, True),
        (401, UpstreamAuth, 502, True),
        (403, UpstreamAuth, 502, True),
        (429, UpstreamRateLimited, 429, True),
        (500, UpstreamFailed, 502, True),
        (502, UpstreamFailed, 502, True),
        (503, UpstreamFailed, 502, True),
        (504, UpstreamFailed, 502, True),
        (529, UpstreamFailed, 502, True),
        (599, UpstreamFailed, 502, True),
        (302, UpstreamBadResponse, 502, True),
        (304, UpstreamBadResponse, 502, True),
    ],
)
def test_a_status_has_one_meaning(
    status: int, kind: type[UpstreamError], ours: int, retryable: bool
) -> None:
    """For blame and for retries, whoever the vendor is."""
    error = upstream_error(status, VendorError("its words", param="messages"))

    assert type(error) is kind
    assert (error.status, error.retryable, error.upstream_status) == (ours, retryable, status)
    assert error.param == "messages"


def test_one_vendors_status_does_not_stick_to_the_class() -> None:
    """The next refusal has its own."""
    upstream_error(409, VendorError("a"))
    later = upstream_error(422, VendorError("b"))

    assert (later.status, later.retryable) == (422, False)
    assert (UpstreamRejected.status, UpstreamRejected.retryable) == (400, False)


@pytest.mark.parametrize("status", [401, 403])
def test_what_a_vendor_says_about_our_credential_stays_with_us(status: int) -> None:
    """Its words often quote it."""
    error = upstream_error(status, VendorError("Incorrect API key provided: sk-secret"))

    assert "secret" not in str(error.document(""))


@pytest.mark.parametrize(
    "said",
    [
        VendorError("x", code="context_length_exceeded"),
        VendorError("This model's maximum context length is 8192 tokens. However, ..."),
        VendorError("This endpoint's maximum context length is 200000 tokens."),
        VendorError("Your input exceeds the context window of this model."),
        VendorError("prompt is too long: 3333404 tokens > 200000 maximum"),
        VendorError("too many tokens: size limit exceeded by 25836 tokens."),
        VendorError("prompt too long; exceeded max context length by 11 tokens"),
        VendorError(
            "The input token count exceeds the maximum number of tokens allowed (1048576)."
        ),
        VendorError("Input is too long for requested model."),
    ],
    ids=lambda said: said.code or said.message[:30],
)
def test_a_prompt_that_does_not_fit_is_known_by_code_or_words(said: VendorError) -> None:
    """Each vendor words it otherwise; routes for longer prompts depend on it."""
    error = upstream_error(400, said)

    assert type(error) is ContextLengthExceeded
    assert (error.status, error.retryable) == (400, False)


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
        "Invalid value for 'context': expected a string of any length.",
        "The model does not exist.",
    ],
)
def test_other_refusals_are_not_taken_for_a_long_prompt(message: str) -> None:
    """A fallback to a longer model would not help."""
    assert type(upstream_error(400, VendorError(message))) is UpstreamRejected


@pytest.mark.parametrize(
    "code", ["content_filter", "content_policy_violation", "moderation_blocked"]
)
def test_a_vendors_filter_is_named(code: str) -> None:
    """Another attempt would be refused too."""
    error = upstream_error(400, VendorError("x", code=code))

    assert (type(error), error.status, error.retryable) == (ContentFiltered, 400, False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([("retry-after", "7")], 7.0),
        ([("retry-after", " 7 ")], 7.0),
        ([("retry-after", "0.5")], 0.5),
        ([("retry-after-ms", "250")], 0.25),
        ([("retry-after", "7"), ("retry-after-ms", "250")], 0.25),
        ([("retry-after-ms", "-5")], 0.0),
        ([("retry-after", "-5")], None),
        ([("retry-after", "")], None),
        ([("retry-after", "soon")], None),
        ([("retry-after", "1.2.3")], None),
        ([("retry-after-ms", "soon")], None),
        ([("retry-after-ms", "inf")], None),
        ([("retry-after-ms", "nan")], None),
        ([("retry-after", "9" * 400)], None),
        ([("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], 0.0),
        ([("retry-after", "Wed, 99 Oct 2015 07:28:00 GMT")], None),
        ([("retry-after", "Wed, 21 Oct 99999999 07:28:00 GMT")], None),
    ],
)
def test_retry_after_is_read_or_ignored(
    headers: list[tuple[str, str]], seconds: float | None
) -> None:
    """What is odd counts as absent; a number of seconds is always finite."""
    assert retry_after_s(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    """The rest of the time until then."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    seconds = retry_after_s([("retry-after", then)])

    assert seconds is not None
    assert 3000 < seconds <= 3600


def test_a_rate_limit_keeps_its_words_and_its_wait() -> None:
    """The client gets both."""
    error = upstream_error(429, VendorError("slow down"), [("retry-after", "3")])

    assert (error.message, error.retry_after_s) == ("slow down", 3.0)

"""The class of a failure, by the vendors' own words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.failures import VendorError, upstream_error
from proxy.faults import failure
from proxy.remedies import REMEDIES
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (401, VendorError("Incorrect API key provided"), "credential"),
        (403, VendorError("The security token included in the request is expired"), "credential"),
        (403, VendorError("You do not have access to the model with the given ID"), "model_access"),
        (403, VendorError("x", code="unsupported_country_region_territory"), "region"),
        (400, VendorError("User location is not supported for the API use."), "region"),
        (402, VendorError("This request requires more credits"), "quota"),
        (429, VendorError("You exceeded your current quota", code="insufficient_quota"), "quota"),
        (429, VendorError("You exceeded your current quota, check your plan"), "rate_limit"),
        (429, VendorError("Rate limit reached for requests"), "rate_limit"),
        (400, VendorError("Your credit balance is too low to access the API."), "quota"),
        (404, VendorError("model: claude-does-not-exist", type="not_found_error"), "model_gone"),
        (
            404,
            VendorError("The model `x` does not exist or you have no access to it"),
            "model_gone",
        ),
        (404, VendorError("models/x is not found for API version v1beta"), "model_gone"),
        (404, VendorError("x", code="DeploymentNotFound"), "model_gone"),
        (404, VendorError("No such file: file-1"), "caller_fault"),
        (400, VendorError("The provided model identifier is invalid."), "model_gone"),
        (400, VendorError("Unknown parameter: 'quality'."), "caller_fault"),
        (400, VendorError("prompt is too long: 1 tokens > 2 maximum"), "context_length"),
        (400, VendorError("x", code="content_filter"), "content_filter"),
        (
            403,
            VendorError("model requires moderation and your input was flagged"),
            "content_filter",
        ),
        (408, VendorError("x"), "transient"),
        (409, VendorError("x"), "transient"),
        (500, VendorError("The model does not exist"), "transient"),
        (529, VendorError("Overloaded"), "transient"),
        (302, VendorError("x"), "unknown"),
    ],
)
def test_words_have_a_class(status: int, said: VendorError, expected: str) -> None:
    """Which decides what is tried next."""
    assert upstream_error(status, said).failure == expected


@pytest.mark.parametrize(
    "quoted",
    [
        "Invalid value: 'your credit balance is too low'",
        "Invalid prompt: 'model_not_found'",
        "messages[0]: 'the model gpt-4o does not exist'",
        "Unexpected text: 'insufficient_quota'",
    ],
)
def test_a_client_cannot_make_others_rest_by_being_quoted(quoted: str) -> None:
    """A vendor that repeats a prompt in its 400 says nothing of our account or its models."""
    said = upstream_error(400, VendorError(quoted, code="invalid_request_error")).failure

    assert REMEDIES[said].blame == "nobody"


def recorded() -> Iterator[tuple[str, int, VendorError]]:
    """Yield the recorded refusals: vendor, status and words."""
    for path in sorted(CORPUS.glob("*.json")):
        document = json.loads(path.read_bytes())
        status, body = document["response"]["status"], document["response"]["body"]
        if status >= 400 and isinstance(body, dict):
            yield document["vendor"], status, _said(body)


def _said(body: dict[str, Any]) -> VendorError:
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    message = inner.get("message") or (error if isinstance(error, str) else "") or str(body)
    code = inner.get("code")
    return VendorError(message, inner.get("type"), str(code) if code else None)


def test_every_recorded_refusal_has_the_right_class() -> None:
    """Models that are gone are all found, and nothing else is taken for one."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of recorded traffic is not here")
    found = Counter((status, failure(status, said)) for _, status, said in recorded())
    print(found)
    assert found[404, "model_gone"] == 13
    assert found[400, "model_gone"] == 2
    assert found[403, "model_access"] == 1
    assert not [key for key in found if key[1] in ("quota", "region")]

"""What a client asks of the gateway itself."""

from __future__ import annotations

import math

import pytest

from proxy.errors import InvalidRequest
from proxy.wishes import patience_s, sdk_retries, tags


@pytest.mark.parametrize(
    ("asked", "sdk", "seconds"),
    [
        (None, None, math.inf),
        ("30s", None, 30),
        ("250ms", None, 0.25),
        (None, "600", 600),
        (None, "0.5", 0.5),
        ("10s", "600", 10),
        ("10s", "5", 5),
        ("10s", "NOT_GIVEN", 10),
        (None, "", math.inf),
        (None, "nan", math.inf),
        (None, "inf", math.inf),
        (None, "0", math.inf),
        (None, "-1", math.inf),
    ],
)
def test_the_shorter_wish_is_the_deadline(
    asked: str | None, sdk: str | None, seconds: float
) -> None:
    """Ours or the SDK's; one without a limit writes no number."""
    headers = {"x-headgate-timeout": asked, "x-stainless-read-timeout": sdk}

    assert patience_s({name: text for name, text in headers.items() if text is not None}) == seconds


@pytest.mark.parametrize("asked", ["", "soon", "-1s", "1y", "nan", "inf", "1 s"])
def test_a_timeout_that_is_none_is_the_clients_mistake(asked: str) -> None:
    """It is told, not ignored."""
    with pytest.raises(InvalidRequest, match="x-headgate-timeout"):
        patience_s({"x-headgate-timeout": asked})


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("2", 2), ("999", 999), ("1000", 0), ("-1", 0), ("x", 0), ("", 0), ("²", 0)],
)
def test_the_sdks_repetitions_are_read(text: str, count: int) -> None:
    """What is no small number counts as none."""
    assert sdk_retries({"x-stainless-retry-count": text}) == count
    assert sdk_retries({}) == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("a=b", {"a": "b"}),
        ("a=b,c=d", {"a": "b", "c": "d"}),
        (" a = b , c = ", {"a": "b", "c": ""}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_tags_are_pairs(text: str, found: dict[str, str]) -> None:
    """White space around names and values does not count."""
    assert tags({"x-headgate-tags": text}) == found
    assert tags({}) == {}


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a=b,",
        "=b",
        "a=b,a=c",
        f"a={'x' * 65}",
        f"{'x' * 65}=b",
        ",".join(f"t{i}=1" for i in range(17)),
    ],
)
def test_tags_of_another_form_are_refused(text: str) -> None:
    """They end up in records, so they are bounded."""
    with pytest.raises(InvalidRequest, match="x-headgate-tags"):
        tags({"x-headgate-tags": text})

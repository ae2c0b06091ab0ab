"""Which headers travel, and in which direction."""

from __future__ import annotations

import pytest

from proxy.headers import CLIENT_KEYS, HOP_BY_HOP, to_client, to_upstream


def up(*names: str, rewritten: bool = False, **more: str) -> list[str]:
    """Return the names that are sent to the vendor."""
    headers = {**dict.fromkeys(names, "x"), **more}
    return [name for name, _ in to_upstream(headers, rewritten=rewritten)]


def down(*names: str, decoded: bool = False) -> list[str]:
    """Return the names that are sent to the client."""
    return [name for name, _ in to_client([(n, "x") for n in names], decoded=decoded)]


@pytest.mark.parametrize("name", sorted(CLIENT_KEYS))
def test_a_clients_key_is_never_sent_on(name: str) -> None:
    """A vendor has no business with it."""
    assert up(name, "user-agent") == ["user-agent"]


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_headers_end_here(name: str) -> None:
    """They belong to one connection, in both directions."""
    assert up(name, "accept-language") == ["accept-language"]
    assert down(name, "etag") == ["etag"]


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "cookie",
        "expect",
        "content-length",
        "forwarded",
        "via",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-request-id",
        "x-headgate-timeout",
        "x-headgate-tags",
        "openai-organization",
        "openai-project",
        "proxy-authorization",
        "sec-websocket-key",
    ],
)
def test_what_is_the_clients_own_business_is_not_sent_on(name: str) -> None:
    """Where it sits, what it asks of us, whose account it believes to use."""
    assert up(name) == []


@pytest.mark.parametrize(
    "name",
    [
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "set-cookie",
        "server",
        "date",
        "content-length",
        "x-request-id",
        "x-headgate-cost",
        "x-should-retry",
        "cf-ray",
        "alt-svc",
        "strict-transport-security",
        "access-control-allow-origin",
        "transfer-encoding",
    ],
)
def test_what_names_the_account_or_the_vendors_edge_is_not_sent_on(name: str) -> None:
    """Never a vendor's account header; what we say ourselves stands there once."""
    assert down(name) == []


@pytest.mark.parametrize(
    "name", ["openai-beta", "idempotency-key", "traceparent", "user-agent", "x-stainless-lang", "x"]
)
def test_what_nobody_knows_goes_up(name: str) -> None:
    """New headers of a vendor work without a release of ours."""
    assert up(name) == [name]


@pytest.mark.parametrize("name", ["openai-processing-ms", "openai-version", "retry-after", "x"])
def test_what_nobody_knows_comes_down(name: str) -> None:
    """New headers of a vendor work without a release of ours."""
    assert down(name) == [name]


@pytest.mark.parametrize("value", ["x-one", "close, X-One", "x-one ,keep-alive", "X-ONE,x-two"])
def test_a_header_that_connection_names_goes_no_further(value: str) -> None:
    """It is hop-by-hop by the client's word (RFC 9110 section 7.6.1)."""
    headers = {"connection": value, "x-one": "1", "x-three": "3"}

    assert to_upstream(headers) == [("x-three", "3")]


def test_a_header_that_the_vendors_connection_names_goes_no_further() -> None:
    """The rule is the same in both directions."""
    headers = [("connection", "close, X-One"), ("x-one", "1"), ("x-three", "3")]

    assert to_client(headers) == [("x-three", "3")]


def test_a_body_we_build_ourselves_describes_itself() -> None:
    """The client's word about its encoding would be wrong."""
    names = ("accept-encoding", "content-type", "accept", "openai-beta")

    assert up(*names, rewritten=True) == ["openai-beta"]
    assert up(*names) == list(names)


def test_a_body_we_read_ourselves_is_described_by_us() -> None:
    """It goes out decoded."""
    names = ("content-encoding", "content-type", "etag")

    assert down(*names, decoded=True) == ["etag"]
    assert down(*names) == list(names)


def test_order_and_repetition_are_kept() -> None:
    """A name may stand twice and mean it."""
    headers = [("x", "1"), ("etag", "e"), ("x", "2")]

    assert to_client(headers) == headers

"""URLs of a vendor in its answers."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.links import Rewriting, Way

WAY = Way(("https://api.acme.example", "http://10.0.0.1:81"), "http://gate:8080/providers/acme")
KEYED = WAY._replace(key="a/b&c")


@pytest.mark.parametrize(
    ("value", "turned"),
    [
        ("https://api.acme.example/v1/x?y=z", "http://gate:8080/providers/acme/v1/x?y=z"),
        ("http://10.0.0.1:81/v1/x", "http://gate:8080/providers/acme/v1/x"),
        ("https://api.acme.example", "http://gate:8080/providers/acme"),
        ("https://api.acme.example.evil/v1", "https://api.acme.example.evil/v1"),
        ("https://api.acme.example:8443/v1", "https://api.acme.example:8443/v1"),
        ("https://files.acme.example/v1", "https://files.acme.example/v1"),
        ("see https://api.acme.example/v1", "see https://api.acme.example/v1"),
        ("/v1/x", "/v1/x"),
    ],
)
def test_a_header_that_is_a_url_of_the_vendors_own_is_one_of_ours(value: str, turned: str) -> None:
    """Scheme and host must be the vendor's, whole; any other value stays."""
    assert KEYED.headers([("location", value), ("x", "1")], ()) == [
        ("location", turned),
        ("x", "1"),
    ]


def test_a_url_that_is_followed_without_a_key_gets_the_clients() -> None:
    """Else nobody would be let in who follows it."""
    url = "https://api.acme.example/up"
    for given_url, mark in ((url, "?"), (url + "?id=1", "&")):
        [(_, turned)] = KEYED.headers([("x-up", given_url)], {"x-up"})
        assert turned.endswith(f"{given_url[24:]}{mark}key=a%2Fb%26c")
        [(_, turned)] = WAY.headers([("x-up", given_url)], {"x-up"})
        assert "key" not in turned


def rewritten(body: bytes, cuts: list[int]) -> bytes:
    """Return the body, cut at these places on its way."""
    machine = Rewriting(WAY, {"results_url", "next"})
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    return b"".join([*map(machine.feed, pieces), machine.close()])


DOCUMENT = {
    "results_url": "https://api.acme.example/v1/x/results",
    "next": "http://10.0.0.1:81/v1/x?cursor=ü",
    "nested": [{"next": "https://api.acme.example/v1"}],
    "other": "https://api.acme.example/v1",
    "text": 'say "results_url": "https://api.acme.example/v1"',
    "previous": None,
    "results_url_": "https://api.acme.example/v1",
}
TURNED = {
    **DOCUMENT,
    "results_url": "http://gate:8080/providers/acme/v1/x/results",
    "next": "http://gate:8080/providers/acme/v1/x?cursor=ü",
    "nested": [{"next": "http://gate:8080/providers/acme/v1"}],
}


@given(
    st.lists(st.integers(min_value=0), max_size=12),
    st.sampled_from([(",", ":"), (", ", ": "), (",\n", " :  ")]),
    st.booleans(),
)
def test_members_that_are_named_are_turned_wherever_the_body_is_cut(
    cuts: list[int], separators: tuple[str, str], escaped: bool
) -> None:
    """All else stays: other members, and texts that only speak of them."""
    body = json.dumps(DOCUMENT, separators=separators).encode()
    if escaped:
        body = body.replace(b"/", b"\\/")

    assert json.loads(rewritten(body, cuts)) == TURNED


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=5))
def test_any_other_bytes_pass_as_they_came(body: bytes, cuts: list[int]) -> None:
    """Whatever claims to be JSON."""
    assert rewritten(body, cuts) == body


@pytest.mark.parametrize(
    "value", ["https://api.acme.example.evil/v1", "https://api.acme.examplex", "x", ""]
)
def test_a_member_that_leads_elsewhere_stays(value: str) -> None:
    """Only what is the vendor's own becomes ours."""
    body = json.dumps({"next": value}).encode()

    assert rewritten(body, []) == body


def test_little_is_held_back() -> None:
    """A long body flows on: only the last bytes wait, in which a link could begin."""
    machine = Rewriting(WAY, {"next"})

    assert len(machine.feed(b"x" * 10_000)) > 9_800
    assert len(machine.feed(b"x" * 10_000)) == 10_000

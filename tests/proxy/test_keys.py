"""Client keys."""

from __future__ import annotations

import pickle
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import ClientKey
from proxy.keys import KeyEntry, Keyring, may_use

SECRET = "hg-5f0c1d"
HASH = "sha256:" + sha256(SECRET.encode()).hexdigest()


@pytest.mark.parametrize(
    "entry",
    [
        KeyEntry("me", value=SECRET),
        KeyEntry("me", hash=HASH),
        KeyEntry("me", hash=HASH.upper().replace("SHA", "sha")),
    ],
)
def test_a_key_is_found_by_its_value_or_its_hash(entry: KeyEntry) -> None:
    """The configuration may hold either; the client sends the value."""
    entry = entry._replace(user="ann", team="red", routes=("fast",))

    assert Keyring.of([entry]).find(SECRET) == ClientKey("me", "ann", "red", ("fast",))


@given(st.text())
def test_no_other_text_is_a_key(text: str) -> None:
    """Not the empty one, not the hash, nothing that merely resembles it."""
    if text != SECRET:
        assert Keyring.of([KeyEntry("me", value=SECRET)]).find(text) is None


@pytest.mark.parametrize("text", [HASH, HASH[7:], SECRET + " ", SECRET.upper(), "\udcff"])
def test_what_resembles_a_key_is_none(text: str) -> None:
    """Neither its hash, nor other capitals, nor bytes that are no text."""
    assert Keyring.of([KeyEntry("me", value=SECRET)]).find(text) is None


def test_the_value_is_not_kept() -> None:
    """A dump of the process's memory shows digests only."""
    ring = Keyring.of([KeyEntry("me", value=SECRET)])

    assert SECRET.encode() not in pickle.dumps(ring)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([KeyEntry("a")], "'a' needs either"),
        ([KeyEntry("a", value="x", hash=HASH)], "'a' needs either"),
        ([KeyEntry("a", hash="md5:0123")], "hash of the key 'a' must be"),
        ([KeyEntry("a", hash=HASH + "00")], "hash of the key 'a' must be"),
        ([KeyEntry("a", value=SECRET), KeyEntry("b", hash=HASH)], "'a' and 'b' are the same"),
        ([KeyEntry("a", value="x"), KeyEntry("a", value="y")], "two keys are called 'a'"),
    ],
)
def test_a_wrong_entry_is_refused_by_name_and_without_its_key(
    entries: list[KeyEntry], says: str
) -> None:
    """The message names the entry, so that it can be mended, and never the key."""
    with pytest.raises(ValueError, match=says) as caught:
        Keyring.of(entries)

    assert SECRET not in str(caught.value)


def test_a_ring_knows_how_many_keys_it_holds() -> None:
    """An empty one is falsy."""
    assert not Keyring.of([])
    assert len(Keyring.of([KeyEntry("a", value="x"), KeyEntry("b", value="y")])) == 2


@pytest.mark.parametrize(
    ("routes", "route", "allowed"),
    [
        ((), "anything", True),
        (("fast",), "fast", True),
        (("fast",), "faster", False),
        (("gpt-4*", "claude"), "gpt-4o-mini", True),
        (("gpt-4*",), "GPT-4o", False),
        (("openai/*",), "openai/gpt-4o", True),
        (("fast",), "", False),
    ],
)
def test_a_key_may_use_the_routes_it_lists(
    routes: tuple[str, ...], route: str, allowed: bool
) -> None:
    """Patterns match whole names, capitals matter, and no pattern means every route."""
    assert may_use(ClientKey("me", routes=routes), route) is allowed

"""Files that are kept: how much, how long, and each content once."""

from __future__ import annotations

from hashlib import sha256

from proxy.adapter import Media
from proxy.mediastore import MediaStore


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def put(store: MediaStore, url: str, body: bytes, kind: str = "image/png") -> None:
    store.put([url], Media(kind, body), sha256(body).digest())


def test_what_was_put_comes_back_until_it_is_too_old() -> None:
    """A file behind a URL may change."""
    clock = Clock()
    store = MediaStore(10_000, 60.0, clock)
    put(store, "u", b"body")
    clock.now = 59.9
    assert store.get("u") == Media("image/png", b"body")
    clock.now = 60.0
    assert store.get("u") is None
    assert (len(store), store.bytes) == (0, 0)


def test_the_same_content_is_kept_once() -> None:
    """Its bytes are counted once, and are there as long as one URL needs them."""
    store = MediaStore(10_000, 60.0, Clock())
    one, two = bytes(bytearray(b"x" * 3000)), bytes(bytearray(b"x" * 3000))
    put(store, "u", one)
    alone = store.bytes
    put(store, "v", two, "text/plain")
    assert store.bytes - alone < 1000
    first, second = store.get("u"), store.get("v")
    assert first is not None
    assert second is not None
    assert first.body is second.body
    assert (first.content_type, second.content_type) == ("image/png", "text/plain")


def test_a_new_content_takes_the_place_of_the_old() -> None:
    """And the old one's bytes are free again."""
    store = MediaStore(10_000, 60.0, Clock())
    put(store, "u", b"x" * 3000)
    put(store, "u", b"y" * 10)
    found = store.get("u")
    assert found is not None
    assert found.body == b"y" * 10
    assert store.bytes < 1000


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    """The bytes never exceed the limit."""
    store = MediaStore(10_000, 60.0, Clock())
    for number in range(3):
        put(store, f"u{number}", b"%d" % number * 2500)
    assert store.get("u0") is not None
    for number in range(3, 20):
        put(store, f"u{number}", b"%d" % number * 1000)
        assert store.bytes <= 10_000
        assert store.get("u0") is not None
    assert store.get("u1") is None


def test_what_is_larger_than_everything_is_not_kept() -> None:
    """It would only push out the rest."""
    store = MediaStore(1000, 60.0, Clock())
    put(store, "u", b"x" * 1001)
    assert (len(store), store.bytes) == (0, 0)


def test_urls_are_counted_too() -> None:
    """They are the client's, and may be long."""
    store = MediaStore(10_000, 60.0, Clock())
    for number in range(100):
        put(store, "u" * 1000 + str(number), b"same")
        assert store.bytes <= 10_000
    assert 0 < len(store) < 10

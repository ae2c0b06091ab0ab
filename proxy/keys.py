"""The keys clients show, and who shows them.

A key is kept only as its SHA-256 digest, from which nobody gets it back: keys are long and
random, so a slow hash would protect nothing that is not already safe. Finding one takes the
same time among ten keys and a million.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from proxy.exchange import ClientKey

_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_SUBPROTOCOL = "openai-insecure-api-key."


class KeyEntry(NamedTuple):
    """A key as the configuration has it: `value` or `hash`, one of them.

    Attributes:
        hash: "sha256:" and 64 hexadecimal digits.
        routes: patterns of the routes it may use ("gpt-*"); empty means all.
    """

    name: str
    value: str = ""
    hash: str = ""
    user: str = ""
    team: str = ""
    routes: tuple[str, ...] = ()
    weight: float = 1.0
    priority: int = 5
    max_priority: int = 9
    regions: tuple[str, ...] = ()
    admin: bool = False

    def client(self) -> ClientKey:
        """Return what exchanges know of it: all but the key itself."""
        known = self._asdict()
        del known["value"], known["hash"]
        return ClientKey(**known)


class Keyring:
    """The keys that are let in."""

    def __init__(self, keys: dict[bytes, ClientKey]) -> None:
        """Take the keys by their digest."""
        self._keys = {digest: (digest, key) for digest, key in keys.items()}

    @classmethod
    def of(cls, entries: Iterable[KeyEntry]) -> Keyring:
        """Hash and collect the configured keys.

        Raises:
            ValueError: an entry has neither value nor hash, or both; a hash is no hash;
                a name or a key stands twice. The message never holds a key.
        """
        keys: dict[bytes, ClientKey] = {}
        names: set[str] = set()
        for entry in entries:
            digest = _digest(entry)
            if digest in keys:
                raise ValueError(f"{keys[digest].name!r} and {entry.name!r} are the same key")
            if entry.name in names:
                raise ValueError(f"two keys are called {entry.name!r}")
            names.add(entry.name)
            keys[digest] = entry.client()
        return cls(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[ClientKey]:
        return (key for _, key in self._keys.values())

    def find(self, secret: str) -> ClientKey | None:
        """Return whose key this is, or None.

        How long it takes says nothing about the keys: what is looked up is a digest, which
        a guesser cannot steer, and the last comparison does not stop at a difference.
        """
        digest = _hash(secret)
        found = self._keys.get(digest)
        if found is None or not hmac.compare_digest(digest, found[0]):
            return None
        return found[1]


def presented(headers: Mapping[str, str]) -> str:
    """Return the key a client sent, or the empty string.

    Args:
        headers: names in lower case.

    Source: https://platform.openai.com/docs/guides/realtime-websocket (2026-11-21)
    """
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (secret := secret.strip()):
        return secret
    for name in _HEADERS:
        if secret := headers.get(name, "").strip():
            return secret
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if (protocol := protocol.strip()).startswith(_SUBPROTOCOL):
            return protocol[len(_SUBPROTOCOL) :]
    return ""


def may_use(key: ClientKey, route: str) -> bool:
    """Whether `key` is allowed to ask for `route`."""
    return not key.routes or _matches(key.routes, route)


def may_use_all(key: ClientKey, provider: str, routes: Collection[str]) -> bool:
    """Whether `key` is allowed all of a provider, and not only some of its models.

    That takes a pattern of everything that begins with "<provider>/", or its plain name where
    no route is called so too: a key for that route was not meant to open the whole vendor.
    """
    if not key.routes or (provider in key.routes and provider not in routes):
        return True
    open_ended = (pattern for pattern in key.routes if pattern.endswith("*"))
    return any(fnmatchcase(f"{provider}/", pattern) for pattern in open_ended)


@lru_cache(maxsize=4096)
def _matches(patterns: tuple[str, ...], route: str) -> bool:
    return any(fnmatchcase(route, pattern) for pattern in patterns)


def _digest(entry: KeyEntry) -> bytes:
    if bool(entry.value) == bool(entry.hash):
        raise ValueError(f"the key {entry.name!r} needs either a value or a hash")
    if entry.value:
        return _hash(entry.value)
    found = _HASH.fullmatch(entry.hash)
    if found is None:
        raise ValueError(
            f"the hash of the key {entry.name!r} must be sha256: and 64 hexadecimal digits"
        )
    return bytes.fromhex(found.group(1))


def _hash(secret: str) -> bytes:
    """Digest of the bytes as they came: bytes that are no UTF-8 arrive as surrogates."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()

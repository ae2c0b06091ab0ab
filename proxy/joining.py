"""Where a request that passes through unread goes: a client's path, joined to a base URL.

A base URL's path is a mount, which only the operator knows of, and behind it the vendor's own:
what the adapter's default base URL ends with, else a version at the end, else nothing.

    base URL                          mount       own
    https://api.acme.example/v1                   /v1
    https://api.acme.example/api/v3               /api/v3       where the adapter has it so
    https://proxy.example/acme/v1     /acme       /v1
    https://acme.example

What stands behind `/providers/<name>` is what the vendor's SDK puts behind the vendor's host
(`vendor_url`). The first of these rules that fits:

    it begins with the mount                        it is behind the host as it stands
    it names a version among its first three        it is behind the mount: nothing is doubled,
    segments, begins with the vendor's own path,    and the vendor's other versions and APIs are
    or lies beside it (`Passing.beside`)            in reach
    any other                                       it is behind the base URL

so that to https://api.acme.example/v1 both `/v1/ocr` and `/ocr` are `/v1/ocr`, while `/v2/chat` and
`/upload/v1beta/files` stay what they are. Under OpenAI's own face `/v1` is no vendor's version but
stands for the root of that API (`openai_url`).

Whatever a client writes, the result is a path of the provider's own origin: a path that would
climb (`..`, encoded or not) is refused, and `//host` is only a path.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from proxy.adapter import Defaults
from proxy.errors import InvalidRequest

PREFIX = "/providers/"
_OPENAI = "/v1"
_VERSION = re.compile(r"v\d+(?:p\d+)?(?:(?:alpha|beta)\d*)?")
_AMONG = 3
_CLIMBS = frozenset({".", ".."})
_BREAKS = re.compile(r"[/\\]")
_DECODINGS = 2  # of "%252e", for servers that decode behind a proxy that has done so


class Called(NamedTuple):
    """What a path behind `/providers/` asks for.

    Attributes:
        provider: the name.
        path: what the vendor's SDK wrote, from a slash on, or empty.
        query: without its question mark and without the client's key.
    """

    provider: str
    path: str
    query: str

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def read(path: str, query: str) -> Called:
    """Take a path such as "/providers/acme/v1/files" apart.

    Raises:
        InvalidRequest: its path leads out of where it begins.
    """
    name, slash, rest = path.removeprefix(PREFIX).partition("/")
    rest = slash + rest.lstrip("/")
    if _climbs(rest):
        raise InvalidRequest("a path must not hold segments of dots")
    return Called(unquote(name), rest, query)


def key_of(query: str) -> str:
    """Return the `key` of a query, where some SDKs put it, or the empty string."""
    return next((value for name, value in parse_qsl(query) if name == "key"), "")


def without_key(query: str, key: str) -> str:
    """Return a query without the client's key, every other byte as it came."""
    return "&".join(pair for pair in query.split("&") if not key or not _is_key(pair, key))


def vendor_url(target: str, base_url: str, defaults: Defaults) -> str:
    """Return where `target`, a path that the vendor's own SDK wrote, is at `base_url`."""
    origin, base = _split(base_url)
    path, mark, query = target.partition("?")
    mount, own = _halves(base, defaults)
    if mount and _begins(path, mount):
        joined = path
    elif _is_whole(path, own, defaults):
        joined = mount + path
    else:
        joined = base + path
    return f"{origin}{joined or '/'}{mark}{query}"


def openai_url(target: str, base_url: str, defaults: Defaults) -> str:
    """Return where `target`, a path of OpenAI's API such as "/v1/files", is at `base_url`."""
    _, base = _split(base_url)
    root = base_url.rstrip("/") + defaults.passing.openai_path
    if not base and not defaults.passing.openai_path:
        root += _OPENAI
    return root + target.removeprefix(_OPENAI)


def origins(base_url: str, defaults: Defaults) -> list[str]:
    """Return scheme and host of a provider, and of its vendor where that is another."""
    both = (base_url, defaults.base_url)
    return list(dict.fromkeys(_split(url)[0] for url in both if url))


def _split(base_url: str) -> tuple[str, str]:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


def _halves(base: str, defaults: Defaults) -> tuple[str, str]:
    """Return the mount and the vendor's own path of a base URL's path."""
    own = _split(defaults.base_url)[1] or defaults.base_path
    if own and base.endswith(own):
        return base.removesuffix(own), own
    rest, _, last = base.rpartition("/")
    return (rest, f"/{last}") if _VERSION.fullmatch(last) else (base, "")


def _is_whole(path: str, own: str, defaults: Defaults) -> bool:
    first, *more = path[1:].split("/")[:_AMONG]
    named = any(_VERSION.fullmatch(segment) for segment in (first, *more))
    return named or first in defaults.passing.beside or (bool(own) and _begins(path, own))


def _begins(path: str, start: str) -> bool:
    return path == start or path.startswith(f"{start}/")


def _climbs(path: str) -> bool:
    """Whether any segment is made of dots, for any of those who may read it after us."""
    for _ in range(_DECODINGS + 1):
        segments = (segment.partition(";")[0] for segment in _BREAKS.split(path))
        if not _CLIMBS.isdisjoint(segments):
            return True
        path = unquote(path)
    return False


def _is_key(pair: str, key: str) -> bool:
    name, _, value = pair.partition("=")
    return unquote_plus(name) == "key" and unquote_plus(value) == key

"""Files that were fetched, kept for a short while: bounded by bytes and by time.

The same content under two URLs is kept once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from proxy.adapter import Media

_ENTRY_BYTES = 512
"""What one entry costs beside its body and its URL."""


class _Kept(NamedTuple):
    """What is at one URL, and until when that is believed."""

    media: Media
    digest: bytes
    until: float


class MediaStore:
    """Media by URL; the one that was not asked for the longest goes first.

    Args:
        limit_bytes: of all bodies and URLs together.
        ttl_s: how long an entry is believed, in seconds.
        clock: monotonic, in seconds.
    """

    def __init__(self, limit_bytes: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._limit_bytes = limit_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[str, _Kept] = OrderedDict()
        self._bodies: dict[bytes, tuple[bytes, int]] = {}  # by digest, with how often it is used
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, url: str) -> Media | None:
        """Return what is at `url`, or None if it is unknown or too old."""
        kept = self._entries.get(url)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._drop(url)
            return None
        self._entries.move_to_end(url)
        return kept.media

    def put(self, urls: Sequence[str], media: Media, digest: bytes) -> None:
        """Keep `media` under each of `urls`, unless it alone is more than may be kept.

        Args:
            urls: where it is; one is enough.
            media: the file.
            digest: of its body; the same body is kept once.
        """
        if len(media.body) > self._limit_bytes:
            return
        for url in dict.fromkeys(urls):
            if url in self._entries:
                self._drop(url)
            body, used = self._bodies.get(digest, (media.body, 0))
            self._bodies[digest] = body, used + 1
            self.bytes += _ENTRY_BYTES + len(url) + (0 if used else len(body))
            until = self._clock() + self._ttl_s
            self._entries[url] = _Kept(media._replace(body=body), digest, until)
        while self.bytes > self._limit_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, url: str) -> None:
        kept = self._entries.pop(url)
        body, used = self._bodies.pop(kept.digest)
        if used > 1:
            self._bodies[kept.digest] = body, used - 1
        self.bytes -= _ENTRY_BYTES + len(url) + (0 if used > 1 else len(body))

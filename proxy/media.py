"""Files that a client names by URL and the vendor does not fetch itself.

Clients choose the URLs, so nothing about them is trusted: where they lead (`proxy.addresses`),
how much comes, how long it takes, what it is. Nothing of ours goes along: no cookie, no
credential, no proxy's password. What came is kept for a short while, because the turns of a
conversation and the attempts of an exchange name the same files again.

States of a fetch: waiting for a place → under way, shared by all who want this URL → kept or
failed. It is given up when the last who wants it has gone.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from proxy import mediatypes, tasks
from proxy.adapter import Media
from proxy.addresses import Address, Guard, NotPublic
from proxy.errors import GatewayError, InvalidRequest, QueueFull, ShuttingDown
from proxy.mediastore import MediaStore
from proxy.tls import default_context
from proxy.version import VERSION

_MIB = 1024 * 1024
_PIECE_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "user-agent": f"headgate/{VERSION}",
    "accept": "image/*, application/pdf, audio/*, text/*;q=0.5",
    "accept-encoding": "identity",  # what is packed small may be endless when unpacked
}


class MediaLimits(NamedTuple):
    """How much of what clients name is fetched.

    Attributes:
        file_bytes, request_bytes: the longest file, and all files of one request.
        files: most files of one request.
        time_s: the longest one file may take, redirects included, in seconds.
        redirects: most redirects of one file.
        at_once, at_once_all: fetches at once, for one request and for all.
        kept_bytes, kept_s: how much is kept, and for how many seconds.
    """

    file_bytes: int = 20 * _MIB
    request_bytes: int = 50 * _MIB
    files: int = 100
    time_s: float = 20.0
    redirects: int = 3
    at_once: int = 8
    at_once_all: int = 64
    kept_bytes: int = 64 * _MIB
    kept_s: float = 300.0


class _Unfit(Exception):
    """Why one file cannot be had, as the end of a sentence about it."""


class _Fetched(NamedTuple):
    """A file, where it was in the end, and whether others may be given it."""

    media: Media
    url: str
    shared: bool


class _Flight:
    """One fetch under way, and how many wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[Media | str | None]) -> None:
        self.task = task
        self.waiting = 0


class Fetcher:
    """Fetches files by URL, each only once.

    Args:
        limits: how much, how long, how many.
        allow_private: lets URLs lead into the operator's own network.
        guard: which addresses are connected to; None: public ones.
        tls: for `https`; None: the system's authorities.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        limits: MediaLimits | None = None,
        *,
        allow_private: bool = False,
        guard: Guard | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or MediaLimits()
        self._guard = guard or (Guard(allows=_anything) if allow_private else Guard())
        self._tls = tls
        self._kept = MediaStore(self._limits.kept_bytes, self._limits.kept_s, clock)
        self._places = asyncio.Semaphore(self._limits.at_once_all)
        self._flights: dict[str, _Flight] = {}
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, urls: Sequence[str], *, param: str = "messages") -> Mapping[str, Media]:
        """Return what is at these `http:` and `https:` URLs.

        Args:
            urls: as the client wrote them; one that stands twice is fetched once.
            param: the member of the request that an error names.

        Raises:
            InvalidRequest: one cannot be had, is too large or nothing we pass on. The message
                names its host and nothing of what is there.
            QueueFull: no fetch could begin in time, because too many are under way.
        """
        wanted = list(dict.fromkeys(urls))
        if len(wanted) > self._limits.files:
            most = self._limits.files
            raise InvalidRequest(f"a request may name at most {most} files by URL", param=param)
        request = _Wanted(self, self._limits, param)
        if len(wanted) == 1:
            return {wanted[0]: await request.one(wanted[0])}
        # The first that fails ends the others: nobody would get what they bring.
        try:
            async with asyncio.TaskGroup() as group:
                found = {url: group.create_task(request.one(url)) for url in wanted}
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return {url: task.result() for url, task in found.items()}

    async def close(self) -> None:
        """Give up what is under way and close every connection."""
        under_way = [flight.task for flight in self._flights.values()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None
        await self._guard.close()

    async def get(self, url: str) -> Media:
        """Return one file, from memory or by the fetch that all who want it now share.

        Raises:
            _Unfit: it cannot be had.
            QueueFull: its fetch could not begin.
            ShuttingDown: the fetcher was closed meanwhile.
        """
        kept = self._kept.get(url)
        if kept is not None:
            return kept
        flight = self._flights.get(url)
        if flight is None:
            flight = _Flight(tasks.spawn(self._fly(url), name="media"))
            self._flights[url] = flight
            flight.task.add_done_callback(lambda _: self._landed(url, flight))
        flight.waiting += 1
        try:
            found = await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if _cancelled():
                raise
            raise ShuttingDown("the gateway is stopping") from None
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._landed(url, flight)
                flight.task.cancel()
        if found is None:
            raise QueueFull("too many files are being fetched at the moment")
        if isinstance(found, str):
            raise _Unfit(found)
        return found

    def _landed(self, url: str, flight: _Flight) -> None:
        """Let the next who wants `url` fetch it anew, or find it kept."""
        if self._flights.get(url) is flight:
            del self._flights[url]

    async def _fly(self, url: str) -> Media | str | None:
        """Fetch one file: what it is, or why not; None where no place came free in time."""
        limit_s = self._limits.time_s
        try:
            await asyncio.wait_for(self._places.acquire(), limit_s)
        except TimeoutError:
            return None
        try:
            async with asyncio.timeout(limit_s):
                media, end, shared = await self._follow(URL(url))
        except _Unfit as reason:
            return str(reason)
        except TimeoutError:
            return f"did not come within {limit_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _reason(error)
        finally:
            self._places.release()
        if shared:
            digest = await asyncio.to_thread(_digest, media.body)  # 20 MiB take their time
            self._kept.put((url, end), media, digest)
        return media

    async def _follow(self, url: URL) -> _Fetched:
        """Fetch `url`, following its redirects by hand, so that each is checked like the first."""
        for _ in range(self._limits.redirects + 1):
            self._check(url)
            async with self._open().get(url, allow_redirects=False) as answer:
                place = answer.headers.get("location")
                if answer.status not in _REDIRECTS or place is None:
                    media = await self._read(answer)
                    private = answer.headers.get("cache-control", "").lower()
                    shared = "no-store" not in private and "private" not in private
                    return _Fetched(media, str(url), shared)
                url = url.join(URL(place)).with_fragment(None)
        raise _Unfit(f"is redirected more than {self._limits.redirects} times")

    def _check(self, url: URL) -> None:
        """Refuse what can be refused before a connection."""
        if url.scheme not in ("http", "https") or not url.host:
            raise _Unfit("leads to something else than http:// or https://")
        if url.user is not None or url.password is not None:
            raise _Unfit("has a user name or a password in its URL")
        if self._guard.refuses(url.host):
            raise NotPublic("not a public address")

    async def _read(self, answer: aiohttp.ClientResponse) -> Media:
        """Read a whole answer as a file.

        Raises:
            _Unfit: it is no file, too large, or of a kind that nobody takes.
        """
        if answer.status != 200:
            raise _Unfit(f"was answered with status {answer.status}")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise _Unfit("comes compressed, although that was not asked for")
        claimed = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await self._body(answer) if mediatypes.may_be(claimed) else b""
        kind = mediatypes.kind(claimed, body)
        if kind is None:
            raise _Unfit("is no image, PDF, audio or text")
        return Media(kind, body)

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        limit = self._limits.file_bytes
        pieces: list[bytes] = []
        left = limit - (answer.content_length or 0)
        if left >= 0:
            left = limit
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    break
        if left < 0:
            raise _Unfit(f"is larger than {limit / _MIB:g} MiB")
        return b"".join(pieces)

    def _open(self) -> aiohttp.ClientSession:
        """Return the session, made with the first fetch: most gateways never need one."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._guard,
                socket_factory=self._guard.socket,
                use_dns_cache=False,
                ssl=self._tls or default_context(),
                limit=self._limits.at_once_all,
                keepalive_timeout=5,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                timeout=aiohttp.ClientTimeout(total=None),  # `_fly` has the clock
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


class _Wanted:
    """The files of one request: so many at once, and not too much together."""

    def __init__(self, fetcher: Fetcher, limits: MediaLimits, param: str) -> None:
        self._fetcher = fetcher
        self._limit = limits.request_bytes
        self._places = asyncio.Semaphore(limits.at_once)
        self._param = param
        self._bytes = 0

    async def one(self, url: str) -> Media:
        """Return one of them; the errors are those of `Fetcher.fetch`."""
        async with self._places:
            try:
                media = await self._fetcher.get(url)
            except _Unfit as reason:
                sentence = f"the file at {_host(url)} {reason}"
                raise InvalidRequest(sentence, param=self._param) from None
        self._bytes += len(media.body)
        if self._bytes > self._limit:
            raise InvalidRequest(
                f"the files of the request are together larger than {self._limit / _MIB:g} MiB",
                param=self._param,
            )
        return media


def _cancelled() -> bool:
    """Whether it is this task that was cancelled, not one it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()


def _anything(address: Address) -> bool:
    return True


def _reason(error: Exception) -> str:
    """Say why there is no file, without words that a library or a stranger chose."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "has no certificate that can be trusted"
    if _not_public(cause):
        return "is not at a public address"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "is at a host that has no address"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "is at a host that cannot be reached"
    if isinstance(error, ValueError):  # also aiohttp's InvalidURL
        return "has a URL that cannot be read"
    return "did not come whole"


def _not_public(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, NotPublic):
            return True
        error = error.__cause__ or error.__context__
    return False


def _host(url: str) -> str:
    """Return the host of a URL for an error: nothing else of it, since it may be signed."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return repr(host[:100]) if host else "a URL without a host"


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error to be told of several; our own sentences before anything else."""
    known = [error for error in errors.exceptions if isinstance(error, GatewayError)]
    return known[0] if known else errors.exceptions[0]

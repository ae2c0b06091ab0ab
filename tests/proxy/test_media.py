"""Files by URL, from real servers on this machine: what is fetched, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import trustme
from aiohttp import web

from proxy import tasks
from proxy.adapter import Media
from proxy.addresses import Guard
from proxy.errors import GatewayError, InvalidRequest, QueueFull, ShuttingDown
from proxy.media import Fetcher, MediaLimits

PNG = b"\x89PNG\r\n\x1a\n" + b"." * 100
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Site:
    """A web server that remembers who asked; each path is answered by a function."""

    def __init__(self) -> None:
        self.seen: list[web.BaseRequest] = []
        self.answers: dict[str, Answer] = {}
        self.at_once = self.most_at_once = 0
        self.open = asyncio.Event()
        self.port = 0

    def url(self, path: str = "/a.png", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def on(self, path: str, body: bytes = PNG, status: int = 200, **headers: str) -> str:
        """Answer `path` with this; return its URL."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=named)

        self.answers[path] = answer
        return self.url(path)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.answers[request.path](request)
        finally:
            self.at_once -= 1

    async def start(self, tls: ssl.SSLContext | None = None) -> web.ServerRunner:
        runner = web.ServerRunner(
            web.Server(self.serve, handler_cancellation=True), shutdown_timeout=0
        )
        await runner.setup()
        listening = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await listening.start()
        self.port = runner.addresses[0][1]
        return runner

    async def held(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer only when the test opens."""
        await self.open.wait()
        return web.Response(body=PNG, content_type="image/png")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A site that serves."""
    site = Site()
    runner = await site.start()
    yield site
    site.open.set()
    await runner.cleanup()


@contextlib.asynccontextmanager
async def fetching(**options: Any) -> AsyncIterator[Fetcher]:
    """A fetcher for sites of this machine, unless a guard says otherwise."""
    limits = MediaLimits()._replace(**options.pop("limits", {}))
    if "guard" not in options:
        options["allow_private"] = True
    fetcher = Fetcher(limits, **options)
    try:
        yield fetcher
    finally:
        await fetcher.close()
        assert not await tasks.drain(1)


async def refusal(fetcher: Fetcher, *urls: str) -> str:
    """Return the sentence that refuses these."""
    with pytest.raises(InvalidRequest) as refused:
        await fetcher.fetch(urls)
    assert refused.value.param == "messages"
    return refused.value.message


async def test_files_come_with_their_kind(site: Site) -> None:
    """By the URL as the client wrote it; the kind without parameters."""
    picture = site.on("/a.png", content_type="image/png")
    text = site.on("/t.txt", b"words", content_type="Text/Plain; charset=utf-8")
    unknown = site.on("/u", b"%PDF-1.7 ...", content_type="application/octet-stream")
    async with fetching() as fetcher:
        found = await fetcher.fetch([picture, text, unknown, picture])
    assert found == {
        picture: Media("image/png", PNG),
        text: Media("text/plain", b"words"),
        unknown: Media("application/pdf", b"%PDF-1.7 ..."),
    }
    assert len(site.seen) == 3


async def test_nothing_of_ours_goes_along(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cookie that a site has set, no credential, and no way over the environment's proxy."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    first = site.on("/1", content_type="image/png", set_cookie="id=1; Path=/")
    second = site.on("/2", content_type="image/png")
    async with fetching() as fetcher:
        await fetcher.fetch([first])
        await fetcher.fetch([second])
    for request in site.seen:
        assert request.headers["User-Agent"].startswith("headgate/")
        assert request.headers["Accept-Encoding"] == "identity"
        names = {name.lower() for name in request.headers}
        assert names <= {"host", "user-agent", "accept", "accept-encoding"}


async def test_https_is_verified(site: Site) -> None:
    """By the name in the URL and the authorities that are trusted."""
    ca, secure = trustme.CA(), Site()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("files.example").configure_cert(server)
    runner = await secure.start(server)
    secure.on("/a", content_type="image/png")
    context = ssl.create_default_context()
    ca.configure_trust(context)
    guard = _anywhere(lambda _: ["127.0.0.1"])
    async with fetching(guard=guard, tls=context) as fetcher:
        good = f"https://files.example:{secure.port}/a"
        assert (await fetcher.fetch([good]))[good].body == PNG
        other = await refusal(fetcher, f"https://other.example:{secure.port}/a")
        assert other == "the file at 'other.example' has no certificate that can be trusted"
    await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(site: Site, status: int) -> None:
    """Three of them, also to a place given relative to the last."""
    start = site.on("/1", b"", status, location="/2")
    site.on("/2", b"", status, location="3?x=1#part")
    site.on("/3", b"", status, location=site.url("/4"))
    site.on("/4", content_type="image/png")
    async with fetching() as fetcher:
        assert (await fetcher.fetch([start]))[start].body == PNG
    assert [request.path for request in site.seen] == ["/1", "/2", "/3", "/4"]


async def test_an_endless_redirect_is_refused(site: Site) -> None:
    """After three."""
    start = site.on("/1", b"", 302, location="/1")
    async with fetching() as fetcher:
        assert "redirected more than 3 times" in await refusal(fetcher, start)
    assert len(site.seen) == 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 404, "content_type": "image/png"}, "answered with status 404"),
        ({"status": 304, "body": b""}, "answered with status 304"),
        ({"status": 302}, "answered with status 302"),
        ({"content_type": "application/json", "body": b'{"secret": 1}'}, "no image, PDF, audio"),
        ({"content_type": "application/octet-stream", "body": b"MZ secret"}, "no image, PDF"),
        ({"content_type": "image/png", "content_encoding": "gzip"}, "comes compressed"),
        ({"status": 302, "location": "file:///etc/passwd"}, "something else than http://"),
        ({"status": 302, "location": "ftp://127.0.0.1/x"}, "something else than http://"),
        ({"status": 302, "location": "http://u:secret@127.0.0.1/"}, "a user name or a password"),
        ({"status": 302, "location": "http://[::"}, "URL that cannot be read"),
    ],
)
async def test_what_is_no_file_is_refused(site: Site, answer: dict[str, Any], reason: str) -> None:
    """The sentence names the host and tells nothing of what is there."""
    url = site.on("/signed-path", **answer)
    async with fetching() as fetcher:
        sentence = await refusal(fetcher, url)
    assert sentence.startswith("the file at '127.0.0.1' ")
    assert reason in sentence
    assert "secret" not in sentence
    assert "signed-path" not in sentence


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://x.example/a", "the file at 'x.example' leads to something else than http"),
        ("file:///etc/passwd", "the file at a URL without a host leads to something else"),
        ("http:///a", "the file at a URL without a host "),
        ("http://[::1", "the file at a URL without a host has a URL that cannot be read"),
        ("http://a:b@x.example/", "the file at 'x.example' has a user name or a password"),
        ("http://x.example:99999/", "the file at 'x.example' has a URL that cannot be read"),
        ("nonsense", "the file at a URL without a host "),
    ],
)
async def test_what_is_no_url_of_a_file_is_refused(url: str, sentence: str) -> None:
    """Nobody is asked."""
    async with fetching() as fetcher:
        assert (await refusal(fetcher, url)).startswith(sentence)


async def test_hosts_that_are_not_there_are_told(site: Site) -> None:
    """Without the system's own words."""

    def lookup(host: str) -> Sequence[str]:
        if host == "none.example":
            raise OSError(-2, "Name or service not known")
        return ["127.0.0.1"]

    async with fetching(guard=_anywhere(lookup)) as fetcher:
        unknown = await refusal(fetcher, "http://none.example/a")
        assert unknown == "the file at 'none.example' is at a host that has no address"
        closed = await refusal(fetcher, "http://shut.example:1/a")
        assert closed == "the file at 'shut.example' is at a host that cannot be reached"


@pytest.mark.parametrize("declared", [True, False])
async def test_a_large_file_is_refused(site: Site, declared: bool) -> None:
    """At once where its length is told, else as soon as too much has come."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        if declared:
            response.content_length = 10**12
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 10_000)
        return response

    site.answers["/a"] = answer
    async with fetching(limits={"file_bytes": 1024 * 1024}) as fetcher:
        assert "is larger than 1 MiB" in await refusal(fetcher, site.url("/a"))
        exact = site.on("/b", b"x" * 1024 * 1024, content_type="image/png")
        assert await fetcher.fetch([exact])


async def test_many_files_may_be_too_much_together(site: Site) -> None:
    """Also when they are kept already."""
    urls = [site.on(f"/{n}", b"%d" % n * 1000, content_type="image/png") for n in range(5)]
    async with fetching(limits={"request_bytes": 4000}) as fetcher:
        assert "together larger" in await refusal(fetcher, *urls)
        assert len(await fetcher.fetch(urls[:4])) == 4
        assert "together larger" in await refusal(fetcher, *urls)


async def test_a_request_may_name_only_so_many() -> None:
    """Nothing is fetched of one that names more."""
    async with fetching(limits={"files": 2}) as fetcher:
        sentence = await refusal(fetcher, "http://a/1", "http://a/2", "http://a/3")
        assert sentence == "a request may name at most 2 files by URL"


@pytest.mark.parametrize("begun", [False, True])
async def test_a_slow_file_is_given_up(site: Site, begun: bool) -> None:
    """However steadily it drips."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        if begun:
            await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not site.open.is_set():
                await asyncio.sleep(0.01)
                if begun:
                    await response.write(b"x")
        return response

    site.answers["/a"] = answer
    async with fetching(limits={"time_s": 0.1}) as fetcher:
        assert "did not come within 0.1 s" in await refusal(fetcher, site.url("/a"))


async def test_a_file_that_breaks_off_is_no_file(site: Site) -> None:
    """Half a picture must not be taken for one."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "image/png"})
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"x" * 500)
        assert request.transport is not None
        request.transport.close()
        return response

    site.answers["/a"] = answer
    async with fetching() as fetcher:
        assert "did not come whole" in await refusal(fetcher, site.url("/a"))


async def test_what_is_not_http_is_no_file() -> None:
    """Its words are not passed on."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-secret\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with fetching() as fetcher:
        sentence = await refusal(fetcher, f"http://127.0.0.1:{port}/")
    assert sentence == "the file at '127.0.0.1' did not come whole"
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0", "[::1]", "localhost",
     "[::ffff:127.0.0.1]", "localhost.", "127.0.0.1.", "127。0。0。1", "①②⑦.0.0.1", "LOCALHOST",
     "[64:ff9b::7f00:1]", "169.254.169.254"],
)  # fmt: skip
async def test_nobody_reaches_this_machine(site: Site, host: str) -> None:
    """By no name and in no spelling."""
    site.on("/a.png", content_type="image/png")
    async with fetching(guard=Guard()) as fetcher:
        sentence = await refusal(fetcher, site.url(host=host))
    assert sentence.endswith(("not at a public address", "has no address", "cannot be read"))
    assert not site.seen


@pytest.mark.parametrize("spelling", ["127.0.0.2", "127.2", "2130706434", "inside.example"])
async def test_a_redirect_does_not_lead_inside(site: Site, spelling: str) -> None:
    """Each place on the way is checked like the first."""
    guard = _only_first(lambda host: ["127.0.0.2"] if "inside" in host else ["127.0.0.1"])
    url = site.on("/1", b"", 302, location=site.url("/2", spelling))
    async with fetching(guard=guard) as fetcher:
        assert "is not at a public address" in await refusal(fetcher, url)
    assert [request.path for request in site.seen] == ["/1"]


async def test_a_name_that_changes_its_mind_gains_nothing(site: Site) -> None:
    """It is asked once a connection, and the address that was checked is connected to."""
    asked: list[str] = []

    def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    site.on("/1", content_type="image/png", connection="close")
    site.on("/2", content_type="image/png")
    async with fetching(guard=_only_first(lookup)) as fetcher:
        assert await fetcher.fetch([site.url("/1", "turns.example")])
        assert len(asked) == 1
        sentence = await refusal(fetcher, site.url("/2", "turns.example"))
    assert sentence == "the file at 'turns.example' is not at a public address"
    assert len(asked) == 2
    assert len(site.seen) == 1


async def test_a_file_is_kept_for_a_while(site: Site) -> None:
    """By the URL that was asked for and by the one where it was in the end."""
    clock = [0.0]
    url = site.on("/1", b"", 302, location="/2")
    end = site.on("/2", content_type="image/png")
    async with fetching(clock=lambda: clock[0], limits={"kept_s": 10.0}) as fetcher:
        first = await fetcher.fetch([url])
        assert (await fetcher.fetch([url, end]))[end] == first[url]
        assert len(site.seen) == 2
        clock[0] = 10.0
        await fetcher.fetch([url])
        assert len(site.seen) == 4


@pytest.mark.parametrize("control", ["no-store", "Private, max-age=60"])
async def test_what_its_server_wants_forgotten_is_not_kept(site: Site, control: str) -> None:
    """Many share what is kept."""
    url = site.on("/1", content_type="image/png", cache_control=control)
    async with fetching() as fetcher:
        await fetcher.fetch([url])
        await fetcher.fetch([url])
    assert len(site.seen) == 2


async def test_a_failure_is_not_kept(site: Site) -> None:
    """The next may have more luck."""
    url = site.on("/1", status=503)
    async with fetching() as fetcher:
        await refusal(fetcher, url)
        site.on("/1", content_type="image/png")
        assert await fetcher.fetch([url])


async def test_all_who_want_a_file_share_one_fetch(site: Site) -> None:
    """And its end, good or bad."""
    site.answers["/1"] = site.held
    url = site.url("/1")
    async with fetching() as fetcher:
        waiting = [tasks.spawn(fetcher.fetch([url]), name="test") for _ in range(20)]
        await _until(lambda: bool(site.seen))
        waiting[0].cancel()
        site.open.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [each[url].body for each in found[1:]] == [PNG] * 19  # type: ignore[index]
        site.on("/2", status=404)
        twice = (fetcher.fetch([site.url("/2")]) for _ in range(2))
        errors = await asyncio.gather(*twice, return_exceptions=True)
    assert [type(error) for error in errors] == [InvalidRequest] * 2
    assert errors[0] is not errors[1]
    assert len(site.seen) == 2


async def test_a_fetch_that_nobody_waits_for_is_given_up(site: Site) -> None:
    """The next who wants it begins anew."""
    site.answers["/1"] = site.held
    url = site.url("/1")
    async with fetching() as fetcher:
        waiting = tasks.spawn(fetcher.fetch([url]), name="test")
        await _until(lambda: site.at_once == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await _until(lambda: site.at_once == 0)
        site.open.set()
        assert await fetcher.fetch([url])


async def test_so_many_are_fetched_at_once(site: Site) -> None:
    """For one request, and for all."""
    paths = [f"/{number}" for number in range(40)]
    for path in paths:
        site.answers[path] = site.held
    urls = [site.url(path) for path in paths]
    async with fetching(limits={"at_once": 3, "at_once_all": 5}) as fetcher:
        one = tasks.spawn(fetcher.fetch(urls[:20]), name="test")
        await _until(lambda: site.at_once == 3)
        two = tasks.spawn(fetcher.fetch(urls[20:]), name="test")
        await _until(lambda: site.at_once == 5)
        await asyncio.sleep(0.02)
        site.open.set()
        assert len(await one) + len(await two) == 40
    assert site.most_at_once == 5


async def test_a_fetch_without_a_place_is_our_fault(site: Site) -> None:
    """The URL may be as good as any."""
    site.answers["/1"] = site.answers["/2"] = site.held
    limits = {"at_once_all": 1, "time_s": 0.1}
    async with fetching(limits=limits) as fetcher:
        urls = [site.url("/1"), site.url("/2")]
        found = await asyncio.gather(
            *(fetcher.fetch([url]) for url in urls), return_exceptions=True
        )
    assert {type(error) for error in found} <= {InvalidRequest, QueueFull}
    assert isinstance(found[1], QueueFull)


async def test_the_first_failure_ends_the_others(site: Site) -> None:
    """The request is refused, so nobody waits for the rest."""
    site.answers["/1"] = site.held
    bad = site.on("/2", status=404)
    async with fetching() as fetcher:
        assert "404" in await refusal(fetcher, site.url("/1"), bad)
        await _until(lambda: site.at_once == 0)


async def test_closing_gives_up_what_is_under_way(site: Site) -> None:
    """Whoever waits is told, and no connection stays."""
    site.answers["/1"] = site.held
    async with fetching() as fetcher:
        waiting = tasks.spawn(_error(fetcher, site.url("/1")), name="test")
        await _until(lambda: site.at_once == 1)
        await fetcher.close()
        assert isinstance(await waiting, ShuttingDown)
        await _until(lambda: site.at_once == 0)


def _anywhere(lookup: Callable[[str], Sequence[str]]) -> Guard:
    return Guard(lookup, lambda _: True)


def _only_first(lookup: Callable[[str], Sequence[str]]) -> Guard:
    """A guard for which 127.0.0.1 is the internet, and all else is inside."""
    return Guard(lookup, lambda address: address == ipaddress.IPv4Address("127.0.0.1"))


async def _error(fetcher: Fetcher, url: str) -> GatewayError | None:
    try:
        await fetcher.fetch([url])
    except GatewayError as error:
        return error
    return None


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.002)

"""The contract of a vendor.

An adapter is a module. It opens no socket, reads no clock and keeps no state between
requests: bytes in, bytes out. The network belongs to `proxy.upstream`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from proxy.errors import UpstreamError
from proxy.framing import Event, Framer
from proxy.wire import Chunk, Request, Response, Usage

Headers = Sequence[tuple[str, str]]
"""Names in lower case and values, in the order they came; a name may stand twice."""


def header(headers: Headers, name: str) -> str | None:
    """Return the first value of `name` (in lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


class Passing(NamedTuple):
    """What must be known of a vendor's API where it is passed through unread.

    Attributes:
        openai_path: where OpenAI's own paths are behind the base URL, such as "/openai/v1"; empty:
            at the base URL's path, or at "/v1" of a bare host.
        beside: first segments of paths that are the host's own though they name no version.
        links: members of JSON answers whose URLs its SDKs follow.
        open_links: headers of answers whose URLs its SDKs follow without showing a key.
    """

    openai_path: str = ""
    beside: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    open_links: frozenset[str] = frozenset()


class Defaults(NamedTuple):
    """What an adapter knows about its vendor before any configuration.

    Attributes:
        base_url: where the vendor's API is; empty where only the user can know.
        credential_variable: the environment variable that usually holds the credential.
        also: other variables that may hold it.
        base_url_variable: the one that usually holds another base URL.
        base_path: what a base URL gets that names only a host, as the vendor's SDKs do.
        passing: for what is passed through.
        machine: variables that say that this machine itself has a credential, as a file or a
            profile.
        options: by option, the variables that usually hold it.
        package: what must be installed for the machine's credential; empty: nothing.
    """

    base_url: str = ""
    credential_variable: str = ""
    base_url_variable: str = ""
    base_path: str = ""
    passing: Passing = Passing()
    also: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    package: str = ""


class Media(NamedTuple):
    """A file that was fetched because the vendor does not fetch it itself.

    Attributes:
        content_type: such as "image/png", without parameters.
    """

    content_type: str
    body: bytes


def _forgotten(tool_call_id: str) -> bytes | None:
    return None


class Target(NamedTuple):
    """Where one attempt goes, and what it may need on the way.

    Attributes:
        model: the vendor's name of the model.
        credential: empty where the vendor needs none, or an `Authorizer` has it.
        headers: what the configuration adds for this provider and deployment.
        credential_name: what logs and records call the credential.
        options: the provider's `options`, as configured.
        base_url: the provider's, for vendors that are stricter at their own address.
        authorizer: makes more of the credential than a header; None: it is sent as it is.
        media: what was fetched, by URL.
        recall: what an earlier answer told to remember for a tool call id, or None.
    """

    model: str
    credential: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    credential_name: str = ""
    options: Mapping[str, Any] = MappingProxyType({})
    base_url: str = ""
    authorizer: Authorizer | None = None
    media: Mapping[str, Media] = MappingProxyType({})
    recall: Callable[[str], bytes | None] = _forgotten


class Dropped(NamedTuple):
    """A member of the request that the vendor does not get."""

    name: str
    reason: str


class UpstreamRequest(NamedTuple):
    """What to send to the vendor.

    Attributes:
        path: behind the base URL, query included: "/chat/completions"; or a whole URL of the
            same origin.
        headers: without host, content-length and connection: the transport's business.
        safe: whether it may be sent twice when the connection broke under it.
        dropped: what of the client's request is not in it.
        base_url: another than the provider's, where its credential is only good there.
    """

    method: str
    path: str
    headers: Headers
    body: bytes = b""
    safe: bool = True
    dropped: Sequence[Dropped] = ()
    base_url: str = ""


class UpstreamResponse(NamedTuple):
    """What the vendor sent back, whole.

    Attributes:
        model: the target's, for vendors whose answers do not name it.
        answer_id: unique, for vendors whose answers have no id.
        request: the client's, for answers that depend on how they were asked for.
    """

    status: int
    headers: Headers
    body: bytes
    model: str = ""
    answer_id: str = ""
    request: Request | None = None


class Translator(Protocol):
    """A vendor's events to chunks of the client's dialect, for one stream.

    Attributes:
        usage: what the vendor reported so far, or None.
        ended: whether the vendor's end marker came.
        last: the block that ends the stream for the client; sent after `close` came back.
        memory: by tool call id, what the vendor wants back with that call's result.
    """

    usage: Usage | None
    ended: bool
    last: bytes
    memory: dict[str, bytes]

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives, often one.

        Raises:
            UpstreamError: the vendor reported an error inside its stream.
        """

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: the vendor's end marker never came.
        """


class Follow(NamedTuple):
    """The next question about an answer that is not ready yet.

    Attributes:
        wait_s: how long to wait before it, in seconds.
    """

    request: UpstreamRequest
    wait_s: float


class Pieces(NamedTuple):
    """How a request is served that the vendor takes only in pieces.

    Attributes:
        split: the client's request and a target to requests of one call each.
        join: their answers, in order, to the one that the client gets.
    """

    split: Callable[[Request, Target], Sequence[Request]]
    join: Callable[[Sequence[Response]], Response]


class Operation(NamedTuple):
    """How a vendor serves one OpenAI operation.

    Attributes:
        request: the client's request and a target to what is sent.
        response: the vendor's whole answer and the Unix time in seconds to ours.
        stream: the Unix time in seconds, the target's model and a unique id (for vendors whose
            answers have neither) to a machine for one stream; None: never streams.
        forwards: the vendor speaks the client's dialect, so the client's own headers go along.
        media: the URLs in a request that the vendor does not fetch itself.
        follow: an answer and its target to the next question; None: the answer is the one.
        by_type: the answer's content type says what it is: events are a stream, JSON and other
            texts are read whole, and bytes go to the client as they come.
        pieces: how large requests are cut; None: they go whole. Never streams.
    """

    request: Callable[[Request, Target], UpstreamRequest]
    response: Callable[[UpstreamResponse, int], Response]
    stream: Callable[[int, str, str], Translator] | None
    framer: Callable[[], Framer]
    forwards: bool = False
    media: Callable[[Request], Sequence[str]] | None = None
    follow: Callable[[UpstreamResponse, Target], Follow | None] | None = None
    by_type: bool = False
    pieces: Pieces | None = None


Send = Callable[[UpstreamRequest], Awaitable[UpstreamResponse]]
"""Sends a request of an authorizer's own to its `base_url` and returns the answer, of any status.

It goes the way of the provider's requests (proxy, TLS), has a few seconds and a small answer.
Raises `UpstreamError` where there is no answer.
"""


class Authorizer(Protocol):
    """Credentials that expire or sign: made once a credential, asked for each request.

    An adapter that has some defines `authorizer(options, credential, send)`, which returns one,
    or None for a credential that is sent as it is.
    """

    @property
    def base_url(self) -> str:
        """Where the credential is good, once `headers` came back; empty: at the provider's."""

    @property
    def signs_body(self) -> bool:
        """Whether the headers depend on the body, so that it cannot be sent while it comes."""

    async def headers(self, request: UpstreamRequest, url: str) -> Headers:
        """Return the headers that authorise `request` at `url`.

        Raises:
            UpstreamAuth: no credential can be had.
        """


class Adapter(Protocol):
    """What `adapters/<vendor>.py` must define.

    It may define more: `authorizer` (see there), and `base_url(given, options)`, which returns
    where the vendor is, for what a user wrote (empty where nothing was) and the options that
    say it; it raises ValueError for one that cannot be.
    """

    @property
    def defaults(self) -> Defaults:
        """Where the vendor is and what its variables are called."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """OpenAI operation ("chat", "embeddings", ...) to how it is served."""

    def authorize(self, target: Target) -> Headers:
        """Return the headers that carry the credential, for requests passed through."""

    def error(self, response: UpstreamResponse) -> UpstreamError:
        """Read a vendor's error answer: its status, its words, its `retry-after`."""

"""The contract of a vendor.

An adapter is a module. It opens no socket, reads no clock and keeps no state between
requests: bytes in, bytes out. The network belongs to `proxy.upstream`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class Defaults(NamedTuple):
    """What an adapter knows about its vendor before any configuration.

    Attributes:
        base_url: where the vendor's API is; empty where only the user can know.
        credential_variable: the environment variable that usually holds the credential.
        base_url_variable: the one that usually holds another base URL.
        base_path: what a base URL gets that names only a host, as the vendor's SDKs do.
    """

    base_url: str = ""
    credential_variable: str = ""
    base_url_variable: str = ""
    base_path: str = ""


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
        media: what was fetched, by URL.
        recall: what an earlier answer told to remember for a tool call id, or None.
    """

    model: str
    credential: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    credential_name: str = ""
    options: Mapping[str, Any] = MappingProxyType({})
    media: Mapping[str, Media] = MappingProxyType({})
    recall: Callable[[str], bytes | None] = _forgotten


class Dropped(NamedTuple):
    """A member of the request that the vendor does not get."""

    name: str
    reason: str


class UpstreamRequest(NamedTuple):
    """What to send to the vendor.

    Attributes:
        path: behind the provider's base URL, query included: "/chat/completions".
        headers: without host, content-length and connection: the transport's business.
        safe: whether it may be sent twice when the connection broke under it.
        dropped: what of the client's request is not in it.
    """

    method: str
    path: str
    headers: Headers
    body: bytes = b""
    safe: bool = True
    dropped: Sequence[Dropped] = ()


class UpstreamResponse(NamedTuple):
    """What the vendor sent back, whole.

    Attributes:
        model: the target's, for vendors whose answers do not name it.
    """

    status: int
    headers: Headers
    body: bytes
    model: str = ""


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


class Operation(NamedTuple):
    """How a vendor serves one OpenAI operation.

    Attributes:
        request: the client's request and a target to what is sent.
        response: the vendor's whole answer and the Unix time in seconds to ours.
        stream: the Unix time in seconds and the target's model (for vendors whose answers do
            not name it) to a machine for one stream; None: never streams.
        forwards: the vendor speaks the client's dialect, so the client's own headers go along.
        media: the URLs in a request that the vendor does not fetch itself.
        follow: an answer and its target to the next question; None: the answer is the one.
    """

    request: Callable[[Request, Target], UpstreamRequest]
    response: Callable[[UpstreamResponse, int], Response]
    stream: Callable[[int, str], Translator] | None
    framer: Callable[[], Framer]
    forwards: bool = False
    media: Callable[[Request], Sequence[str]] | None = None
    follow: Callable[[UpstreamResponse, Target], Follow | None] | None = None


class Authorizer(Protocol):
    """Credentials that expire or sign: made once a provider, asked for each request."""

    async def headers(self, request: UpstreamRequest, url: str) -> Headers:
        """Return the headers that authorise `request` at `url`.

        Raises:
            UpstreamAuth: no credential can be had.
        """


class Adapter(Protocol):
    """What `adapters/<vendor>.py` must define."""

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

"""Everything that can be configured, with its unit and its default.

Times are seconds and sizes bytes here; a file writes `30s` and `32MiB`. The descriptions are
what `headgate schema` shows in an editor, so they speak to whoever writes the file.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from proxy.config.types import (
    Count,
    CountOrZero,
    Duration,
    DurationOrZero,
    Headers,
    Options,
    Path,
    Secret,
    Size,
)


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all groups of settings are: unchangeable, by name, without unknown fields."""


class Tls(_Settings, frozen=True, kw_only=True):
    """TLS for clients, version 1.2 and newer."""

    cert: Annotated[Path, Meta(description="PEM file: the certificate and its chain.")]
    key: Annotated[Path, Meta(description="PEM file: the certificate's private key.")]
    client_ca: Annotated[
        Path | None,
        Meta(description="PEM file; clients must show a certificate signed by one of these."),
    ] = None


class Cors(_Settings, frozen=True, kw_only=True):
    """Which pages of other origins may call the gateway from a browser."""

    origins: Annotated[
        list[str],
        Meta(description="Origins such as https://app.example.com, or *. Empty: none."),
    ] = []


class Hold(_Settings, frozen=True, kw_only=True):
    """How long the head of a streamed answer waits for the first content.

    Until then a failure can still be retried elsewhere and has a status of its own. Whichever
    limit is reached first sends the head.
    """

    time: Annotated[DurationOrZero, Meta(description="At most this long; 0 holds nothing.")] = 30
    bytes: Annotated[Size, Meta(description="At most this much from the vendor.")] = 64 * 1024


class Server(_Settings, frozen=True, kw_only=True):
    """Where clients are heard, and how long for."""

    host: Annotated[str, Meta(description="Address to listen on; 0.0.0.0 is all of them.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one.")] = 8080
    workers: Annotated[
        Count,
        Meta(description="Processes that share the port. Limits and queues are for each."),
    ] = 1
    max_body: Annotated[
        Size, Meta(description="Longest request that is read as a whole; a longer one gets 413.")
    ] = 32 * 1024 * 1024
    max_upload: Annotated[
        Size, Meta(description="Longest request that is streamed through unread (files, audio).")
    ] = 1024 * 1024 * 1024
    max_header: Annotated[
        Size, Meta(description="Longest head of a request: its line and all headers.")
    ] = 64 * 1024
    grace: Annotated[
        DurationOrZero,
        Meta(description="After SIGTERM, how long requests under way may take to finish."),
    ] = 30
    tls: Annotated[Tls | None, Meta(description="TLS for clients; left out: plain HTTP.")] = None
    cors: Cors = Cors()
    keep_alive: Annotated[
        DurationOrZero, Meta(description="How long an idle connection stays open.")
    ] = 75
    header_timeout: Annotated[
        Duration, Meta(description="From the first byte of a request to the end of its head.")
    ] = 10
    body_timeout: Annotated[
        Duration, Meta(description="Longest silence while a request's body is read.")
    ] = 30
    write_timeout: Annotated[
        Duration, Meta(description="How long a client may leave an answer unread.")
    ] = 60
    ping: Annotated[
        DurationOrZero,
        Meta(description="Comment sent in a stream each time the vendor is silent; 0: none."),
    ] = 15
    hold: Hold = Hold()
    metrics: Annotated[bool, Meta(description="Whether /metrics answers.")] = True


class State(_Settings, frozen=True, kw_only=True):
    """What several processes know together."""

    redis: Annotated[
        Secret, Meta(description="redis://, rediss:// or unix:// URL; empty: each process alone.")
    ] = Secret()


class Store(_Settings, frozen=True, kw_only=True):
    """What outlives the process."""

    url: Annotated[
        Secret, Meta(description="sqlite:///file or postgresql://user:password@host/database.")
    ] = Secret("sqlite:///headgate.db")


class Timeouts(_Settings, frozen=True, kw_only=True):
    """How long one attempt on a vendor may take, by phase."""

    connect: Annotated[Duration, Meta(description="Name, connection and TLS.")] = 5
    first_token: Annotated[
        Duration, Meta(description="From the request sent to the first byte of content.")
    ] = 60
    idle: Annotated[Duration, Meta(description="Longest silence within an answer.")] = 60
    total: Annotated[
        Duration, Meta(description="The whole exchange, with its queue and all its attempts.")
    ] = 600


class Retries(_Settings, frozen=True, kw_only=True):
    """How often, and after which wait, a failure before the first content is tried again."""

    attempts: Annotated[
        Count, Meta(description="Most tries of one exchange, the first and fallbacks included.")
    ] = 3
    backoff: Annotated[
        DurationOrZero,
        Meta(description="Wait before trying a deployment again; doubled each time, jittered."),
    ] = 0.5
    backoff_max: Annotated[DurationOrZero, Meta(description="Longest such wait.")] = 8


class NearerTimeouts(_Settings, frozen=True, kw_only=True):
    """Timeouts of a provider, a route or a deployment; what is left out is inherited."""

    connect: Annotated[Duration | None, Meta(description="Name, connection and TLS.")] = None
    first_token: Annotated[
        Duration | None, Meta(description="From the request sent to the first byte of content.")
    ] = None
    idle: Annotated[Duration | None, Meta(description="Longest silence within an answer.")] = None
    total: Annotated[
        Duration | None,
        Meta(description="The whole exchange, with its queue and all its attempts."),
    ] = None


class NearerRetries(_Settings, frozen=True, kw_only=True):
    """Retries of a provider, a route or a deployment; what is left out is inherited."""

    attempts: Annotated[Count | None, Meta(description="Most tries of one exchange.")] = None
    backoff: Annotated[
        DurationOrZero | None, Meta(description="Wait before trying a deployment again.")
    ] = None
    backoff_max: Annotated[DurationOrZero | None, Meta(description="Longest such wait.")] = None


class Defaults(_Settings, frozen=True, kw_only=True):
    """The farthest of four levels: defaults, provider, route and deployment, request."""

    workers: Annotated[Count, Meta(description="Calls in flight at once, per provider.")] = 64
    queue: Annotated[
        CountOrZero, Meta(description="Calls that may wait; one more is answered 503 at once.")
    ] = 256
    queue_timeout: Annotated[Duration, Meta(description="Longest wait for a worker.")] = 10
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()


class Credential(_Settings, frozen=True, kw_only=True):
    """One key of ours at a vendor. A bare text stands for its value."""

    value: Annotated[Secret, Meta(description="The key itself, best as ${NAME} or file:/path.")]
    weight: Annotated[float, Meta(gt=0, description="Share of the calls among its siblings.")] = 1
    models: Annotated[
        list[str],
        Meta(description="Vendor's model names it may be used for, * and ? allowed; empty: all."),
    ] = []
    name: Annotated[str, Meta(description="For logs and the ledger; empty: its number.")] = ""


class Provider(_Settings, frozen=True, kw_only=True):
    """An account at a vendor, with its own queue, workers and connections."""

    adapter: Annotated[
        str, Meta(description="Who translates; left out: the one called as the provider.")
    ] = ""
    base_url: Annotated[
        str, Meta(description="Where the vendor's API begins; left out: the adapter's.")
    ] = ""
    credentials: Annotated[
        list[Credential], Meta(description="Keys at the vendor; empty where it needs none.")
    ] = []
    extra_headers: Annotated[Headers, Meta(description="Sent to the vendor with every call.")] = {}
    extra_body: Annotated[
        Options, Meta(description="Merged into the JSON that the vendor gets; it wins.")
    ] = {}
    remove: Annotated[
        list[str], Meta(description="JSON pointers of what the vendor must not get.")
    ] = []
    tls_verify: Annotated[bool, Meta(description="Whether its certificate is checked.")] = True
    ca: Annotated[
        Path | None, Meta(description="PEM file of authorities to trust instead of the system's.")
    ] = None
    options: Annotated[Options, Meta(description="What the adapter itself takes.")] = {}
    workers: Annotated[Count | None, Meta(description="Calls in flight at once.")] = None
    queue: Annotated[
        CountOrZero | None, Meta(description="Calls that may wait; one more is answered 503.")
    ] = None
    queue_timeout: Annotated[Duration | None, Meta(description="Longest wait for a worker.")] = None
    timeouts: NearerTimeouts = NearerTimeouts()
    retries: NearerRetries = NearerRetries()


class PluginEntry(_Settings, frozen=True, kw_only=True):
    """One plugin of a chain; a file writes `name` or `{name: {option: value}}`."""

    name: str
    options: Options = {}


class Deployment(_Settings, frozen=True, kw_only=True):
    """A provider and a model there: what a route chooses from."""

    provider: Annotated[str, Meta(description="One of `providers`.")]
    model: Annotated[
        str, Meta(description="The vendor's name of the model; left out: the client's.")
    ] = ""
    priority: Annotated[
        Count, Meta(description="For strategies that rank: 1 is tried before 2.")
    ] = 1
    weight: Annotated[
        float, Meta(gt=0, description="For strategies that share out: 3 gets thrice as much as 1.")
    ] = 1
    extra_headers: Annotated[
        Headers, Meta(description="Over the provider's, with every call.")
    ] = {}
    extra_body: Annotated[Options, Meta(description="Merged in after the provider's.")] = {}
    remove: Annotated[list[str], Meta(description="JSON pointers, beside the provider's.")] = []
    tags: Annotated[dict[str, str], Meta(description="For strategies and the ledger.")] = {}
    timeouts: NearerTimeouts = NearerTimeouts()
    retries: NearerRetries = NearerRetries()


class Route(_Settings, frozen=True, kw_only=True):
    """What serves a model name of a client."""

    deployments: Annotated[list[Deployment], Meta(min_length=1, description="At least one.")]
    strategy: Annotated[str, Meta(description="How a deployment is chosen.")] = "priority"
    fallbacks: Annotated[
        list[str], Meta(description="Routes tried in this order when all of this one failed.")
    ] = []
    context_fallbacks: Annotated[
        list[str], Meta(description="Routes tried in this order when the prompt does not fit.")
    ] = []
    plugins: Annotated[
        list[PluginEntry] | None, Meta(description="A chain of its own; left out: the common one.")
    ] = None
    timeouts: NearerTimeouts = NearerTimeouts()
    retries: NearerRetries = NearerRetries()


class Key(_Settings, frozen=True, kw_only=True):
    """What a client shows to be let in: its `value`, or only the hash of it."""

    name: Annotated[str, Meta(description="For logs and the ledger; each only once.")]
    value: Annotated[Secret | None, Meta(description="The key itself; or give `hash`.")] = None
    hash: Annotated[
        str | None, Meta(description="`sha256:` and 64 hexadecimal digits; or give `value`.")
    ] = None
    user: Annotated[str, Meta(description="Whose key it is.")] = ""
    team: Annotated[str, Meta(description="Whose budget it is.")] = ""
    routes: Annotated[
        list[str], Meta(description="Model names it may ask for, * and ? allowed; empty: all.")
    ] = []


class Config(_Settings, frozen=True, kw_only=True):
    """The whole configuration of a gateway, checked."""

    server: Server = Server()
    state: State = State()
    store: Store = Store()
    defaults: Defaults = Defaults()
    providers: Annotated[
        dict[str, Provider],
        Meta(description="Vendors by name; left out: those the environment has a key for."),
    ] = {}
    routes: Annotated[
        dict[str, Route],
        Meta(
            description="By the name clients send as `model`: exact, a pattern such as gpt-4*, or "
            "*. Left out: every name goes to the first provider."
        ),
    ] = {}
    plugins: Annotated[
        list[PluginEntry],
        Meta(description="The chain, in order. Left out: auth if there are keys, access_log."),
    ] = []
    keys: Annotated[list[Key], Meta(description="Clients' keys; empty: none are asked for.")] = []

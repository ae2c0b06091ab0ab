"""Everything that can be configured, with its unit and its default.

Times are seconds and sizes bytes here; a file writes `30s` and `32MiB`. The descriptions are
what `headgate schema` shows in an editor, so they speak to whoever writes the file.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from proxy.config.base import Settings
from proxy.config.nearer import NearerRetries, NearerTimeouts
from proxy.config.resilience import (
    Adaptive,
    Breaker,
    Condition,
    Hedge,
    Mirror,
    Price,
    Probe,
    Split,
    StrategyEntry,
    When,
)
from proxy.config.types import (
    Count,
    CountOrZero,
    Duration,
    DurationOrZero,
    Headers,
    Money,
    Options,
    Path,
    Patterns,
    Rate,
    Secret,
    Size,
)


class Tls(Settings, frozen=True, kw_only=True):
    """TLS for clients, version 1.2 and newer."""

    cert: Annotated[Path, Meta(description="PEM file: the certificate and its chain.")]
    key: Annotated[Path, Meta(description="PEM file: the certificate's private key.")]
    client_ca: Annotated[
        Path | None,
        Meta(description="PEM file; clients must show a certificate signed by one of these."),
    ] = None


class Cors(Settings, frozen=True, kw_only=True):
    """Which pages of other origins may call the gateway from a browser."""

    origins: Annotated[
        list[str],
        Meta(description="Origins such as https://app.example.com, or *. Empty: none."),
    ] = []


class Hold(Settings, frozen=True, kw_only=True):
    """How long the head of a streamed answer waits for the first content.

    Until then a failure can still be retried elsewhere and has a status of its own. Whichever
    limit is reached first sends the head.
    """

    time: Annotated[DurationOrZero, Meta(description="At most this long; 0 holds nothing.")] = 30
    bytes: Annotated[Size, Meta(description="At most this much from the vendor.")] = 64 * 1024


class Server(Settings, frozen=True, kw_only=True):
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


class State(Settings, frozen=True, kw_only=True):
    """What several processes know together."""

    redis: Annotated[
        Secret, Meta(description="redis://, rediss:// or unix:// URL; empty: each process alone.")
    ] = Secret()
    prefix: Annotated[
        str,
        Meta(
            min_length=1,
            description="Before all keys; gateways that share it share their state.",
        ),
    ] = "headgate"


class Store(Settings, frozen=True, kw_only=True):
    """What outlives the process."""

    url: Annotated[
        Secret, Meta(description="sqlite:///file or postgresql://user:password@host/database.")
    ] = Secret("sqlite:///headgate.db")


class Timeouts(Settings, frozen=True, kw_only=True):
    """How long one attempt on a vendor may take, by phase."""

    connect: Annotated[Duration, Meta(description="Name, connection and TLS.")] = 5
    first_token: Annotated[
        Duration, Meta(description="From the request sent to the first byte of content.")
    ] = 60
    idle: Annotated[Duration, Meta(description="Longest silence within an answer.")] = 60
    whole: Annotated[
        Duration | None,
        Meta(description="The head of an answer that is not streamed; left out: total."),
    ] = None
    total: Annotated[
        Duration, Meta(description="The whole exchange, with its queue and all its attempts.")
    ] = 600


class Retries(Settings, frozen=True, kw_only=True):
    """How often, and after which wait, a failure before the first content is tried again."""

    attempts: Annotated[
        Count, Meta(description="Most tries of one exchange, the first and fallbacks included.")
    ] = 3
    backoff: Annotated[
        DurationOrZero,
        Meta(description="Wait before trying a deployment again; doubled each time, jittered."),
    ] = 0.5
    backoff_max: Annotated[DurationOrZero, Meta(description="Longest such wait.")] = 8
    cost: Annotated[
        Money | None,
        Meta(description="Most that all tries may cost, by estimate; left out: no limit."),
    ] = None


class Defaults(Settings, frozen=True, kw_only=True):
    """The farthest of four levels: defaults, provider, route and deployment, request."""

    workers: Annotated[Count, Meta(description="Calls in flight at once, per provider.")] = 64
    queue: Annotated[
        CountOrZero, Meta(description="Calls that may wait; one more is answered 503 at once.")
    ] = 256
    queue_timeout: Annotated[Duration, Meta(description="Longest wait for a worker.")] = 10
    queue_bytes: Annotated[
        Size, Meta(description="Requests in flight and waiting, per provider, all their bytes.")
    ] = 256 * 1024 * 1024
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    adaptive: Adaptive = Adaptive()
    probe: Probe = Probe()


class Credential(Settings, frozen=True, kw_only=True):
    """One key of ours at a vendor. A bare text stands for its value."""

    value: Annotated[Secret, Meta(description="The key itself, best as ${NAME} or file:/path.")]
    weight: Annotated[float, Meta(gt=0, description="Share of the calls among its siblings.")] = 1
    models: Annotated[
        list[str],
        Meta(description="Vendor's model names it may be used for, * and ? allowed; empty: all."),
    ] = []
    name: Annotated[str, Meta(description="For logs and the ledger; empty: its number.")] = ""
    requests: Annotated[
        Rate | None, Meta(description="The vendor's limit of calls, as 600/m; never exceeded.")
    ] = None
    tokens: Annotated[
        Rate | None, Meta(description="The vendor's limit of tokens, as 200000/m, by estimate.")
    ] = None


class Provider(Settings, frozen=True, kw_only=True):
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
    queue_bytes: Annotated[
        Size | None, Meta(description="Requests in flight and waiting, all their bytes.")
    ] = None
    timeouts: NearerTimeouts = NearerTimeouts()
    retries: NearerRetries = NearerRetries()
    breaker: Annotated[Breaker | None, Meta(description="When a model is left alone.")] = None
    adaptive: Annotated[Adaptive | None, Meta(description="A limit that moves.")] = None
    probe: Annotated[Probe | None, Meta(description="Who asks a resting model.")] = None
    region: Annotated[
        str, Meta(description="Where it computes, as eu-west-1; for the tag `region`.")
    ] = ""
    drained: Annotated[bool, Meta(description="Whether it gets no new calls.")] = False


class PluginEntry(Settings, frozen=True, kw_only=True):
    """One plugin of a chain; a file writes `name` or `{name: {option: value}}`."""

    name: str
    options: Options = {}


class Deployment(Settings, frozen=True, kw_only=True):
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
    when: Annotated[
        Condition | None, Meta(description="It only serves requests for which this holds.")
    ] = None
    region: Annotated[str, Meta(description="Over the provider's, as eu-west-1.")] = ""
    price: Annotated[Price | None, Meta(description="Over the list of prices.")] = None
    drained: Annotated[bool, Meta(description="Whether it gets no new calls.")] = False
    timeouts: NearerTimeouts = NearerTimeouts()
    retries: NearerRetries = NearerRetries()


class Route(Settings, frozen=True, kw_only=True):
    """What serves a model name of a client."""

    deployments: Annotated[list[Deployment], Meta(min_length=1, description="At least one.")]
    strategy: Annotated[StrategyEntry, Meta(description="How a deployment is chosen.")] = (
        StrategyEntry()
    )
    fallbacks: Annotated[
        list[str], Meta(description="Routes tried in this order when all of this one failed.")
    ] = []
    context_fallbacks: Annotated[
        list[str], Meta(description="Routes tried in this order when the prompt does not fit.")
    ] = []
    content_fallbacks: Annotated[
        list[str], Meta(description="Routes tried in this order when a vendor's filter refused.")
    ] = []
    quota_fallbacks: Annotated[
        list[str],
        Meta(description="Routes tried first when quotas or rate limits of all are spent."),
    ] = []
    when: Annotated[
        list[When], Meta(description="Routes that serve some requests instead; first match.")
    ] = []
    split: Annotated[
        list[Split], Meta(description="Shares that other routes serve; the rest stays here.")
    ] = []
    split_by: Annotated[
        str,
        Meta(
            description="Who stays on one side of a split: `key`, `user` (the body's), `request`, "
            "or a header's name."
        ),
    ] = "key"
    mirror: Annotated[
        Mirror | None, Meta(description="A route that gets copies, for comparison.")
    ] = None
    hedge: Annotated[Hedge, Meta(description="A second call where the first is slow.")] = Hedge()
    plugins: Annotated[
        list[PluginEntry] | None, Meta(description="A chain of its own; left out: the common one.")
    ] = None
    timeouts: NearerTimeouts = NearerTimeouts()
    retries: NearerRetries = NearerRetries()


class Key(Settings, frozen=True, kw_only=True):
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
    weight: Annotated[
        float, Meta(gt=0, description="Its share of a provider's queue: 3 is thrice that of 1.")
    ] = 1
    priority: Annotated[
        int, Meta(ge=0, le=9, description="Class of its calls in a queue; 9 goes first.")
    ] = 5
    max_priority: Annotated[
        int, Meta(ge=0, le=9, description="Highest it may ask for by `x-headgate-priority`.")
    ] = 9
    regions: Annotated[
        Patterns, Meta(description="Regions that may serve it, as eu-*; empty: all.")
    ] = []
    admin: Annotated[bool, Meta(description="Whether it may use /admin/api.")] = False


class Config(Settings, frozen=True, kw_only=True):
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

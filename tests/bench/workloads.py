"""What is measured: the work, its request, and contract §9's limits for it.

A workload is one row of measuring and gives one or two rows of the table. Routes are the model
names that clients send; a server that knows routes has them in its configuration, so that it must
find the route and replace the model, and the others are sent the vendor's model at once.
"""

from __future__ import annotations

import json
from typing import Literal, NamedTuple

Kind = Literal["cost", "latency", "fresh", "grown"]
Metric = Literal[
    "cpu_us_per_request",
    "cpu_us_per_event",
    "added_p50_ms",
    "added_p99_ms",
    "idle_mib",
    "start_s",
    "kib_per_stream",
]

ROUTES = {
    "bench-chat": "m-n30-b15",  # an answer of about 900 bytes
    "bench-1": "m-n1",
    "bench-100": "m-n100-d4",
    "bench-2000": "m-n2000-d1",
    "bench-open": "m-n1000-d10000",
    "bench-tls": "m-n30-b15",
    "bench-anthropic": "m-n30-b15",
    "bench-anthropic-100": "m-n100-d4",
    "bench-gemini": "m-n30-b15",
    "bench-gemini-100": "m-n100-d4",
    "bench-bedrock": "m-n30-b15",
    "bench-bedrock-100": "m-n100-d4",
}

TLS_ROUTE = "bench-tls"
FORMATS = ("anthropic", "gemini", "bedrock")
TRANSLATED = {f"bench-{name}{size}": name for name in FORMATS for size in ("", "-100")}
"""Routes to the adapters of vendors with a format of their own."""

GROWN = 10_000
"""So many routes and keys besides those of the benchmark: a lookup must not feel them."""

NOT_TEXT_EVENTS = 3
"""A stream's events besides its chunks of text: the role, the finish reason, `[DONE]`."""


class Row(NamedTuple):
    """A row of the table: a metric, and what it must and should not exceed."""

    title: str
    metric: Metric
    unit: str
    must: float | None = None
    aim: float | None = None


class Workload(NamedTuple):
    """What is done to each server.

    Kinds: `cost` loads for some seconds and divides CPU time; `latency` takes turns between the
    servers on few connections; `fresh` starts processes of their own and looks at their memory;
    `grown` is the `cost` of a Headgate whose configuration has `GROWN` more routes and keys.
    """

    name: str
    kind: Kind
    route: str
    rows: tuple[Row, ...]
    connections: int = 64
    stream: bool = False
    events: int | None = None
    padding_bytes: int = 0
    """How much text the request carries besides the small one's."""
    peers: bool = False
    """Whether LiteLLM and Portkey are shown it too."""
    quick: bool = True
    """Whether `--quick` keeps it."""


def cpu(title: str, must: float | None = None, aim: float | None = None) -> tuple[Row]:
    return (Row(title, "cpu_us_per_request", "µs", must, aim),)


def cpu_of_chunk(title: str, must: float | None = None, aim: float | None = None) -> tuple[Row]:
    return (Row(title, "cpu_us_per_event", "µs", must, aim),)


WORKLOADS = (
    Workload(
        "fresh",
        "fresh",
        "bench-open",
        (
            Row("open streams, each", "kib_per_stream", "KiB", 60, 30),
            Row("resident memory, idle", "idle_mib", "MiB", 80, 60),
            Row("start to first answer", "start_s", "s", 1.0, 0.5),
        ),
        connections=5000,
        stream=True,
        peers=True,
    ),
    Workload("chat", "cost", "bench-chat", cpu("chat, whole answer", 110, 80), peers=True),
    *(
        Workload(
            f"chat-{name}",
            "cost",
            f"bench-{name}",
            cpu(f"chat, whole answer, translated ({name})", 180, 130),
        )
        for name in FORMATS
    ),
    Workload(
        "stream-100",
        "cost",
        "bench-100",
        cpu_of_chunk("stream of 100, one per 4 ms, per chunk", 15, 10),
        stream=True,
        events=100 + NOT_TEXT_EVENTS,
        peers=True,
    ),
    *(
        Workload(
            f"stream-{name}",
            "cost",
            f"bench-{name}-100",
            cpu_of_chunk(f"stream of 100, translated ({name}), per chunk", 28, 20),
            stream=True,
        )
        for name in FORMATS
    ),
    Workload(
        "latency",
        "latency",
        "bench-chat",
        (
            Row("added latency at 1 connection, p50", "added_p50_ms", "ms", 0.3, 0.15),
            Row("added latency at 1 connection, p99", "added_p99_ms", "ms", 0.8, 0.3),
        ),
        connections=1,
        peers=True,
    ),
    Workload(
        "latency-first-chunk",
        "latency",
        "bench-1",
        (
            Row("added until the first chunk, p50", "added_p50_ms", "ms"),
            Row("added until the first chunk, p99", "added_p99_ms", "ms"),
        ),
        connections=1,
        stream=True,
        events=1 + NOT_TEXT_EVENTS,
    ),
    Workload(
        "chat-1-connection", "cost", "bench-chat", cpu("chat at 1 connection"), 1, quick=False
    ),
    Workload("chat-1000-connections", "cost", "bench-chat", cpu("chat at 1000 connections"), 1000),
    Workload("chat-tls", "cost", TLS_ROUTE, cpu("chat, TLS to the vendor")),
    Workload("chat-grown", "grown", "bench-chat", cpu("chat, 10 000 routes and keys more")),
    Workload(
        "body-100kB", "cost", "bench-chat", cpu("chat, body of 100 kB"), padding_bytes=100_000
    ),
    Workload(
        "body-5MB", "cost", "bench-chat", cpu("chat, body of 5 MB"), 8, padding_bytes=5_000_000
    ),
    Workload(
        "stream-1",
        "cost",
        "bench-1",
        cpu("stream of 1 chunk, per stream"),
        stream=True,
        events=1 + NOT_TEXT_EVENTS,
    ),
    Workload(
        "stream-2000",
        "cost",
        "bench-2000",
        cpu_of_chunk("stream of 2000, one per ms, per chunk"),
        16,
        stream=True,
        events=2000 + NOT_TEXT_EVENTS,
    ),
)


def body(workload: Workload, model: str) -> bytes:
    """The request's body; the small one has about 260 bytes."""
    system = {"role": "system", "content": "You are a helpful assistant. Answer briefly."}
    content = 'Which river runs through "Heidelberg",\nand how long is it?'
    line = 'A line of text like those that people send, with a "quote" and its end.\n'
    content += line * (workload.padding_bytes // len(json.dumps(line)))
    asked = {"model": model, "temperature": 0.7, "max_tokens": 256, "stream": workload.stream}
    asked["messages"] = [system, {"role": "user", "content": content}]
    return json.dumps(asked, separators=(",", ":")).encode()

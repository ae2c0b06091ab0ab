"""A vendor fast enough not to be what is measured: a raw asyncio protocol, no framework.

    python -m tests.bench.vendor [--port P] [--tls-port P --cert FILE]

It prints one line of JSON with its ports once it listens. The model's name says how it answers:

    m-l<ms before the answer>-n<chunks>-d<ms between chunks>-b<bytes of text per chunk>

`m-l60-n100-d4-b20`, say; missing parts are l0 n10 d0 b20. The role and the first chunk leave
together, every later one when its moment has come, counted from the start and not from the chunk
before, so that a busy vendor does not stretch a stream. `d0` sends all at once. The usage chunk
comes if `include_usage` asks for it, as at OpenAI. The path says in which format it is answered:
Anthropic's, Gemini's, Bedrock's, or else OpenAI's.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import re
import signal
import ssl
from typing import Any, NamedTuple, cast
from urllib.parse import unquote_to_bytes

import httptools
import uvloop

from tests.eventframes import event

PART = re.compile(rb"-([lndb])(\d+)")
PLACE = re.compile(
    rb"/models?/([^/:]+)[:/](generateContent|streamGenerateContent|converse-stream|converse)"
)
MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
STREAM = re.compile(rb'"stream"\s*:\s*true')
INCLUDE_USAGE = re.compile(rb'"include_usage"\s*:\s*true')

LOOKED_AT_BYTES = 4096
"""A request's fields are sought in so much of its beginning and of its end."""

BACKLOG = 8192

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_0123456789abcdef\r\n"
    b"content-length: %d\r\n\r\n"
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
    b"x-request-id: req_0123456789abcdef\r\ntransfer-encoding: chunked\r\n\r\n"
)
SSE = b"text/event-stream; charset=utf-8"
FRAMES = b"application/vnd.amazon.eventstream"
LAST = b"0\r\n\r\n"


class Script(NamedTuple):
    """How one model's name is played."""

    latency_s: float
    delay_s: float
    whole: bytes
    """Head and body of a whole answer."""
    parts: tuple[bytes, ...]
    """A stream's events in HTTP chunks: the first leaves at once, the others one per delay."""


@functools.cache
def script(model: bytes, form: str, usage: bool) -> Script:
    """Reads a model's name, and encodes its answers once."""
    sizes = {"l": 0, "n": 10, "d": 0, "b": 20}
    sizes.update((key.decode(), int(number)) for key, number in PART.findall(model))
    text = "token text of the vendor ".ljust(sizes["b"], "x")[: sizes["b"]]
    body, events = WRITERS[form](model.decode(), text, sizes["n"], usage)
    stream_head = STREAM_HEAD % (FRAMES if form == "bedrock" else SSE)
    first, *rest = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    if sizes["d"]:
        parts = (stream_head + first + rest[0], *rest[1:-1], rest[-1] + LAST)
    else:
        parts = (b"".join([stream_head, first, *rest, LAST]),)
    return Script(sizes["l"] / 1000, sizes["d"] / 1000, HEAD % len(body) + body, parts)


def openai_answer(model: str, text: str, count: int, usage: bool) -> tuple[bytes, list[bytes]]:
    """The whole answer, and the same as a stream's events."""
    tokens = {"prompt_tokens": 19, "completion_tokens": count, "total_tokens": 19 + count}
    details = {
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    base: dict[str, Any] = {"id": "chatcmpl-AbCdEf0123456789", "object": "chat.completion"}
    base |= {"created": 1750000000, "model": model, "service_tier": "default"}
    base |= {"system_fingerprint": "fp_0123456789"}
    message: dict[str, Any] = {"role": "assistant", "content": text * count}
    message |= {"refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = encode({**base, "choices": [choice], "usage": {**tokens, **details}})
    base["object"] = "chat.completion.chunk"
    ending = {"usage": None} if usage else {}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**base, "choices": [choice], **ending}

    chunks = [chunk({"role": "assistant", "content": "", "refusal": None})]
    chunks += [chunk({"content": text})] * count
    chunks += [chunk({}, "stop")]
    if usage:
        chunks += [{**base, "choices": [], "usage": {**tokens, **details}}]
    return whole, [b"data: %b\n\n" % encode(c) for c in chunks] + [b"data: [DONE]\n\n"]


def anthropic_answer(model: str, text: str, count: int, _usage: bool) -> tuple[bytes, list[bytes]]:
    """The whole answer, and the same as a stream's events."""
    usage = {"input_tokens": 19, "output_tokens": count, "service_tier": "standard"}
    usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message: dict[str, Any] = {"id": "msg_01AbCdEf0123456789", "type": "message"}
    message |= {"role": "assistant", "model": model, "stop_sequence": None, "usage": usage}
    content = [{"type": "text", "text": text * count}]
    whole = encode({**message, "content": content, "stop_reason": "end_turn"})
    block = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": text}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[{"type": "content_block_delta", "index": 0, "delta": delta}] * count,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": count}},
        {"type": "message_stop"},
    ]
    return whole, [b"event: %b\ndata: %b\n\n" % (e["type"].encode(), encode(e)) for e in events]


def gemini_answer(model: str, text: str, count: int, _usage: bool) -> tuple[bytes, list[bytes]]:
    """The whole answer, and the same as a stream's events."""
    usage = {"promptTokenCount": 19, "candidatesTokenCount": count, "totalTokenCount": 19 + count}

    def answer(said: str, end: dict[str, Any]) -> dict[str, Any]:
        content = {"parts": [{"text": said}], "role": "model"}
        base = {"usageMetadata": usage, "modelVersion": model, "responseId": "AbCdEf0123456789"}
        return {"candidates": [{"content": content, "index": 0, **end}], **base}

    pieces = [answer(text, {})] * count + [answer("", {"finishReason": "STOP"})]
    whole = encode(answer(text * count, {"finishReason": "STOP"}))
    return whole, [b"data: %b\r\n\r\n" % encode(piece) for piece in pieces]


def bedrock_answer(model: str, text: str, count: int, _usage: bool) -> tuple[bytes, list[bytes]]:
    """The whole answer, and the same as a stream's frames."""
    usage = {"inputTokens": 19, "outputTokens": count, "totalTokens": 19 + count}
    message = {"role": "assistant", "content": [{"text": text * count}]}
    metrics = {"latencyMs": 700}
    whole = {"metrics": metrics, "output": {"message": message}, "stopReason": "end_turn"}
    delta = {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefghijkl"}
    events: list[tuple[str, dict[str, Any]]] = [
        ("messageStart", {"role": "assistant", "p": "abc"}),
        *[("contentBlockDelta", delta)] * count,
        ("contentBlockStop", {"contentBlockIndex": 0, "p": "abc"}),
        ("messageStop", {"stopReason": "end_turn", "p": "abc"}),
        ("metadata", {"metrics": metrics, "usage": usage, "p": "abc"}),
    ]
    return encode({**whole, "usage": usage}), [event(name, said) for name, said in events]


WRITERS = {
    "anthropic": anthropic_answer,
    "bedrock": bedrock_answer,
    "gemini": gemini_answer,
    "openai": openai_answer,
}


def encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


class Vendor(asyncio.Protocol):
    """One connection; a client that pipelines requests is not served."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.body: list[bytes] = []
        self.timer: asyncio.TimerHandle | None = None
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, received: bytes) -> None:
        try:
            self.parser.feed_data(received)
        except httptools.HttpParserError:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def on_message_begin(self) -> None:
        self.url = b""
        self.body = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.body = []
        if len(body) > 2 * LOOKED_AT_BYTES:
            body = body[:LOOKED_AT_BYTES] + body[-LOOKED_AT_BYTES:]
        if place := PLACE.search(self.url):
            form = "bedrock" if place[2].startswith(b"converse") else "gemini"
            play = script(unquote_to_bytes(place[1]), form, False)
            streams = place[2].startswith(b"stream") or place[2].endswith(b"-stream")
        else:
            found = MODEL.search(body)
            form = "anthropic" if self.url.endswith(b"/messages") else "openai"
            play = script(found[1] if found else b"m", form, bool(INCLUDE_USAGE.search(body)))
            streams = STREAM.search(body) is not None
        send = self.start_stream if streams else self.send_whole
        if play.latency_s:
            self.timer = self.loop.call_later(play.latency_s, send, play)
        else:
            send(play)

    def send_whole(self, play: Script) -> None:
        self.transport.write(play.whole)

    def start_stream(self, play: Script) -> None:
        self.send_parts(play, 0, self.loop.time())

    def send_parts(self, play: Script, index: int, start_s: float) -> None:
        """Sends what is due, then sleeps until the next part is."""
        self.transport.write(play.parts[index])
        index += 1
        if index < len(play.parts):
            due_s = start_s + index * play.delay_s
            self.timer = self.loop.call_at(due_s, self.send_parts, play, index, start_s)


async def serve(port: int, tls_port: int = 0, cert: str | None = None) -> None:
    """Serves until SIGTERM; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Vendor, "127.0.0.1", port, backlog=BACKLOG)]
    if cert is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert)
        servers.append(
            await loop.create_server(Vendor, "127.0.0.1", tls_port, ssl=context, backlog=BACKLOG)
        )
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    print(json.dumps(dict(zip(("port", "tls_port"), ports, strict=False))), flush=True)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A mock vendor for measurements.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls-port", type=int, default=0)
    parser.add_argument("--cert", help="PEM file of key and certificates; opens the TLS port")
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.tls_port, options.cert))


if __name__ == "__main__":
    main()

"""A vendor that replays what it was given, byte for byte, and keeps what it was asked.

Each vendor of the tests is a module beside this one that knows two things: how the vendor
writes what a model said (`whole`, `stream`), and how to read the requests the vendor gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tests.proxy.vendor import Asked, Line, Vendor

SSE = "text/event-stream"
INPUT, CACHED, OUTPUT = 21, 8, 9
"""The usage of every answer; cached tokens are part of the input."""

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2RlbA=="
_PIECE_BYTES = 29


class Call(NamedTuple):
    """A call of a tool; vendors that choose ids themselves have their own."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def halves(self) -> tuple[str, str]:
        """Its arguments as JSON text, cut in two."""
        text = json.dumps(self.arguments)
        return text[: len(text) // 2], text[len(text) // 2 :]


class Said(NamedTuple):
    """What the model says in one turn."""

    text: str = ""
    calls: Sequence[Call] = ()
    thought: str = ""

    @property
    def words(self) -> list[str]:
        """Its text in pieces, as a stream has them."""
        return [f"{word} " for word in self.text.split(" ")[:-1]] + self.text.split(" ")[-1:]


class Answer(NamedTuple):
    """What the vendor answers.

    Attributes:
        pieces: the body; of a stream, an event each.
        hangs: the body does not end, until the other side goes.
    """

    pieces: Sequence[bytes]
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = {}
    hangs: bool = False

    @property
    def minced(self) -> Answer:
        """The same body in pieces that respect nothing."""
        body = b"".join(self.pieces)
        cuts = range(0, len(body), _PIECE_BYTES)
        return self._replace(pieces=[body[at : at + _PIECE_BYTES] for at in cuts])

    @property
    def cut(self) -> Answer:
        """The same without its last event, ended as if it were whole."""
        return self._replace(pieces=self.pieces[:-1])


class Failure(NamedTuple):
    """An error of the vendor, and what the client must see of it."""

    answer: Answer
    raised: type[Exception]
    code: str


class Format(Protocol):
    """What the module of one vendor defines.

    Attributes:
        ADAPTER: its name in a configuration.
        BASE: the path of the base URL.
        PROVIDER: further settings of the provider.
        PATHS: where whole answers and streams are asked for.
        AUTHORIZED: the header that carries the credential.
        OPENING, CLOSING: how many events a stream of text has before and behind its text.
        STREAM_ERROR: an event that is an error, with the status and code it means.
        UNTAKEN: members of a request that the vendor cannot take; empty: there are none.
        RETRY_AFTER: whether it says how long to wait, which is 7 seconds here.
        REMOVABLE: a member that requests with a tool have.
        FETCHES: the schemes of images that are fetched for it.
        THOUGHT: what it must get back of `Said.thought` before the results of calls.
        REMEMBERS: whether it gets that also from clients who drop it.
    """

    ADAPTER: str
    MODEL: str
    BASE: str
    PROVIDER: Mapping[str, Any]
    PATHS: tuple[str, str]
    AUTHORIZED: tuple[str, str]
    OPENING: int
    CLOSING: int
    STREAM_ERROR: tuple[bytes, int, str]
    FAILURES: Mapping[str, Failure]
    UNTAKEN: Mapping[str, Any]
    RETRY_AFTER: bool
    REMOVABLE: str
    FETCHES: Sequence[str]
    THOUGHT: Any
    REMEMBERS: bool
    whole: Callable[[Said], Answer]
    stream: Callable[[Said], Answer]

    def signing(self) -> contextlib.AbstractContextManager[object]:
        """Stand in for whoever gives credentials to the gateway; most vendors need nobody."""

    def results(self, body: Any) -> list[tuple[str, Any, str]]:
        """Return each call of a request by name, its arguments, and its result."""

    def thoughts(self, body: Any) -> Any:
        """Return what a request holds of the model's thoughts."""

    def images(self, body: Any) -> list[str]:
        """Return the images of a request: their base64, or their URLs."""

    def schema(self, body: Any) -> Any:
        """Return the schema that binds the answer, where the vendor has it."""


class Replay(Vendor):
    """Answers one request after the other with what `answers` holds.

    Attributes:
        files: answers by path, to requests that ask for nothing else.
        gone: how many connections were closed while an answer hung.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(self._play, **options)
        self.answers: list[Answer] = []
        self.files: dict[str, Answer] = {}
        self.gone = 0

    @property
    def bodies(self) -> list[Any]:
        """What was asked, decoded."""
        return [json.loads(asked.body) for asked in self.requests]

    @property
    def last(self) -> Asked:
        """The last request."""
        return self.requests[-1]

    async def _play(self, line: Line) -> None:
        while True:
            path = (await line.request()).line.split(" ")[1]
            answer = self.files.get(path) or self._next()
            await self._send(line, answer)

    def _next(self) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        return Answer([b"nothing is left to replay"], "text/plain", 418)

    async def _send(self, line: Line, answer: Answer) -> None:
        headers = {"content-type": answer.content_type, "transfer-encoding": "chunked"}
        fields = {**headers, **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        line.writer.write(f"HTTP/1.1 {answer.status} Replayed\r\n{head}\r\n".encode())
        try:
            for piece in answer.pieces:
                line.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await asyncio.sleep(0)
            await line.writer.drain()
            if answer.hangs:
                await line.gone()
                raise ConnectionResetError
        finally:
            self.gone += answer.hangs  # the other side may go while pieces are still written
        line.writer.write(b"0\r\n\r\n")


def document(content: Any, status: int = 200, **headers: str) -> Answer:
    """Return an answer of JSON; `retry_after` becomes a header of that name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([json.dumps(content).encode()], status=status, headers=named)


def event(content: Any, name: str = "") -> bytes:
    """Return an event of SSE."""
    text = content if isinstance(content, str) else json.dumps(content)
    return f"{f'event: {name}{chr(10)}' if name else ''}data: {text}\n\n".encode()

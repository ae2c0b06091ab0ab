"""From a request to its script: routes, the key, whose turn it is to go wrong, the memory.

No socket is seen here; `connection` brings requests and plays what comes back.
"""

from __future__ import annotations

import hmac
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from proxy.sim import openai
from proxy.sim.behaviour import Behaviour
from proxy.sim.course import Course, refuse
from proxy.sim.face import Face, Inquiry, Routes, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer, Script, perform
from proxy.sim.stats import Stats

FACES: Sequence[Face] = (openai.face,)
"""Every format; the first that has a route for a path answers it."""

MAX_COURSES = 10_000
MAX_READY = 512
MAX_READY_BYTES = 32 * 1024 * 1024
"""All answers kept together."""

MAX_REQUEST_BYTES = 16 * 1024
"""A larger request is not looked up: reading it costs less than comparing it."""

_FREE_PATHS = ("/healthz", "/sim/")


class Request(NamedTuple):
    """One HTTP request as the socket brought it.

    Attributes:
        headers: names in lower case; of two with one name the last.
        keep: whether the client keeps the connection.
        chunks: whether the client understands HTTP's chunks.
        at: monotonic seconds when it was whole.
    """

    method: str
    target: str
    headers: Mapping[bytes, bytes]
    body: bytes
    keep: bool
    chunks: bool
    at: float

    @property
    def authorization(self) -> bytes:
        """The header, or empty."""
        return self.headers.get(b"authorization", b"")

    @property
    def content_type(self) -> str:
        """The header, or empty."""
        return self.headers.get(b"content-type", b"").decode("latin-1")


class Reply(NamedTuple):
    """What to send, and under which model's name it was asked for."""

    script: Script
    model: str = ""


class Desk:
    """Answers requests of one simulator."""

    def __init__(self, options: Behaviour, key: str, clock: Callable[[], float]) -> None:
        self.stats = Stats()
        self.world = World(options, int(time.time()))
        self._expected = f"Bearer {key}".encode() if key else b""
        self._clock = clock
        self._routes = Routes(FACES)
        self._courses: dict[str, Course] = {}
        self._ready: dict[tuple[str, bytes], tuple[bytes, bytes]] = {}
        self._ready_bytes = 0
        self._ids = itertools.count(1)

    def reset(self) -> None:
        """Forget everything but the options."""
        self.stats.clear()
        self.world = World(self.world.options, int(time.time()))
        self._courses.clear()
        self._ready.clear()
        self._ready_bytes = 0

    def admits(self, request: Request) -> bool:
        """Say whether the key is the right one, or none is asked for."""
        if not self._expected:
            return True
        return hmac.compare_digest(request.authorization, self._expected)

    def ready(self, request: Request) -> bytes | None:
        """Return the bytes of an answer that was given before and would be the same again."""
        if len(request.body) > MAX_REQUEST_BYTES:
            return None
        found = self._ready.get((request.target, request.body))
        if found is None or request.method != "POST" or not request.chunks:
            return None
        if not self.admits(request):
            return None
        self.stats.requests += 1
        return found[0] + self.next_id() + found[1]

    def next_id(self) -> bytes:
        """Return the end of an answer's head: a request id nobody had before."""
        return b"%016x\r\n\r\n" % next(self._ids)

    def reply(self, request: Request) -> Reply:
        """Decide what happens on a request."""
        path, _, query = request.target.partition("?")
        path = unquote(path)
        method = "GET" if request.method == "HEAD" else request.method
        if path.startswith(_FREE_PATHS):
            reply = Reply(self._own(method, path))
        else:
            inquiry = Inquiry(method, path, query, request.content_type, request.body)
            reply = self._ask(inquiry, request)
        if request.method == "HEAD":
            reply.script.steps, reply.script.chunked = [], False
        elif reply.script.chunked and not request.chunks:
            reply.script.chunked, reply.script.ending = False, "close"
        return reply

    def _own(self, method: str, path: str) -> Script:
        """Answer the simulator's own paths, which no vendor has."""
        if (method, path) == ("GET", "/healthz"):
            return _plain(b'{"status":"ok"}')
        if (method, path) == ("GET", "/sim/stats"):
            return _plain(msgspec.json.encode(self.stats.document()))
        if (method, path) == ("POST", "/sim/reset"):
            self.reset()
            return _plain(b"{}")
        return _script_of(Refusal(404, f"Invalid URL ({method} {path})"), FACES[0])

    def _ask(self, inquiry: Inquiry, request: Request) -> Reply:
        face = FACES[0]
        self.stats.requests += 1
        try:
            if not self.admits(request):
                raise Refusal(
                    401,
                    "Incorrect API key provided." if request.authorization else "No API key.",
                    type="authentication_error",
                    code="invalid_api_key",
                )
            face, operation, arguments = self._routes.find(inquiry.method, inquiry.path)
            answer = operation(inquiry._replace(arguments=arguments), self.world)
        except Refusal as refusal:
            return Reply(_script_of(refusal, face))
        except RecursionError:
            return Reply(_script_of(Refusal(400, "The body is nested too deeply."), face))
        script = self._script(answer, face)
        if answer.repeatable and answer.behaviour.plain:
            self._remember(request, script)
        return Reply(script, answer.model)

    def _script(self, answer: Answer, face: Face) -> Script:
        behaviour = answer.behaviour
        if behaviour.plain and not behaviour.context:
            return perform(answer, behaviour, (), _NO_DICE)
        course = self._course(answer)
        faults = course.draw(behaviour)
        try:
            if behaviour.limit:
                answer.headers = course.admit(behaviour.limit, self._clock())
            refuse(faults, behaviour, answer.prompt_tokens)
        except Refusal as refusal:
            refusal.headers += [pair for pair in answer.headers if pair not in refusal.headers]
            answer = _refused(refusal, face)
        return perform(answer, behaviour, faults, course.dice)

    def _course(self, answer: Answer) -> Course:
        course = self._courses.get(answer.model)
        if course is None:
            course = Course(answer.model, answer.behaviour.seed)
            self._courses[answer.model] = course
            if len(self._courses) > MAX_COURSES:
                del self._courses[next(iter(self._courses))]
        return course

    def _remember(self, request: Request, script: Script) -> None:
        """Keep the answer to a small request, in place of the oldest ones kept."""
        key = (request.target, request.body)
        if len(request.body) > MAX_REQUEST_BYTES or request.method != "POST" or key in self._ready:
            return
        if not request.chunks:  # the script is about to be changed for an old client
            return
        body = body_of(script)
        self._ready[key] = (head_of(script, keep=True), body)
        self._ready_bytes += len(body)
        while len(self._ready) > MAX_READY or self._ready_bytes > MAX_READY_BYTES:
            self._ready_bytes -= len(self._ready.pop(next(iter(self._ready)))[1])


def head_of(script: Script, *, keep: bool) -> bytes:
    """Return the head up to the request id, which `Desk.next_id` completes."""
    try:
        reason = HTTPStatus(script.status).phrase
    except ValueError:
        reason = "Simulated"
    lines = [
        f"HTTP/1.1 {script.status} {reason}",
        f"content-type: {script.content_type}",
        *(f"{name}: {value}" for name, value in script.headers),
    ]
    if script.chunked:
        lines.append("transfer-encoding: chunked")
    elif script.length is not None:
        lines.append(f"content-length: {script.length}")
    if not keep or script.ending == "close":
        lines.append("connection: close")
    return "\r\n".join((*lines, *_VENDOR, "x-request-id: req_")).encode()


def body_of(script: Script) -> bytes:
    """Return the whole body as it is sent."""
    if not script.chunked:
        return b"".join(step.body for step in script.steps)
    return b"".join([chunk_of(step.body) for step in script.steps if step.body]) + LAST_CHUNK


def chunk_of(body: bytes) -> bytes:
    """Return one of HTTP's chunks."""
    return b"%x\r\n%b\r\n" % (len(body), body)


LAST_CHUNK = b"0\r\n\r\n"
_VENDOR = ("openai-processing-ms: 1", "openai-version: 2020-10-01", "openai-organization: sim")
_NO_DICE = random.Random(0)


def _plain(body: bytes) -> Script:
    return perform(Answer(body=body), Behaviour(), (), _NO_DICE)


def _refused(refusal: Refusal, face: Face) -> Answer:
    return Answer(status=refusal.status, body=face.error(refusal), headers=refusal.headers)


def _script_of(refusal: Refusal, face: Face) -> Script:
    return perform(_refused(refusal, face), Behaviour(), (), _NO_DICE)

"""How the gateway writes its log: JSON lines, without secrets, never waiting for a disk.

`configure` is called once, by the composition root. Libraries that log through the standard
library come out in the same form. Lines of an exchange do not pass here (see
`plugins.access_log`): they hold no text from outside that could be a secret.
"""

from __future__ import annotations

import atexit
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from proxy.sink import Sink

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
"""What a level may be called."""

REDACTED = "[redacted]"

_STANDARD_ERROR = 2
_DEPTH = 6
"""How deep values are searched for secrets; what lies deeper is not shown."""

_LONGEST = 16_384
"""Characters of a text that are written; what a vendor or a client sent may be huge."""

_SECRET_NAMES = frozenset(
    [
        "access-token",
        "api-key",
        "apikey",
        "authorization",
        "client-secret",
        "cookie",
        "credential",
        "credentials",
        "password",
        "private-key",
        "proxy-authorization",
        "secret",
        "set-cookie",
        "token",
        "x-api-key",
        "x-goog-api-key",
    ]
)
_NAMED = "|".join(
    name.replace("-", "[-_]") for name in sorted(_SECRET_NAMES - {"token"}, reverse=True)
)
"""Names as a text may hold them; a parser's "unexpected token: x" is no secret."""

_SECRET = re.compile(
    rf"""(?P<kept>(?:{_NAMED})["']?\s*[:=,]\s*["']?(?:(?:Bearer|Basic)\s+)?)"""
    r"""                                              [^\s"',;&})\]]+
    | \b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}             # a header's value
    | \b(?:sk|pk|rk|hg|gsk|xai|pplx|ghp|hf)[-_][\w-]{8,}  # a vendor's or our key
    | \bAIza[\w-]{30,}                                # a cloud's key
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                   # a cloud's key id
    | \beyJ[\w-]{8,512}\.[\w-]{8,}(?:\.[\w-]*)?       # a JSON web token
    | (?<=openai-insecure-api-key\.)[^\s,"']+         # a browser's websocket
    | (?<=://)[^\s/:@]*:[^\s/@]+(?=@)                 # user and password in a URL
    | (?<=[?&]key=)[^\s&"']+                          # a key in a URL
    """,
    re.VERBOSE | re.IGNORECASE,
)


def configure(*, level: str = "info", sink: Sink | None = None) -> Sink:
    """Send all logging of this process to `sink`, by default to standard error.

    Returns:
        The sink, which is also written to its end when the process ends.

    Raises:
        KeyError: no such level.
    """
    threshold = LEVELS[level]
    if sink is None:
        sink = Sink(_STANDARD_ERROR)
    atexit.register(sink.close)
    structlog.configure(
        processors=[*_PROCESSORS, render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_Factory(sink),
        # Modules get their logger at import; a cached one would keep an earlier level.
        cache_logger_on_first_use=False,
    )
    relay = _Relay(sink)
    root = logging.getLogger()
    root.handlers[:] = [relay]
    root.setLevel(max(threshold, logging.WARNING))  # libraries' small talk is theirs
    return sink


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take out what is called like a secret or looks like one (a structlog processor)."""
    return {name: _without_secrets(name, value, _DEPTH) for name, value in event.items()}


def render(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    """Encode an event as one line of JSON (a structlog processor)."""
    return encode(event)


def encode(line: Mapping[str, Any]) -> bytes:
    """Return one line of JSON, whatever it holds."""
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z)
    except TypeError:  # half a surrogate pair, a huge integer, a key that is no string
        pairs = {str(name): value for name, value in line.items()}
        return json.dumps(pairs, default=str, skipkeys=True).encode()


_PROCESSORS: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,  # without local variables, which hold prompts
    redact,
]


def _without_secrets(name: object, value: object, depth: int) -> object:
    if isinstance(name, str) and name.lower().replace("_", "-") in _SECRET_NAMES:
        return REDACTED
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _clean(value)
    return _search(value, depth - 1) if depth else "..."


def _search(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return {str(name): _without_secrets(name, held, depth) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        match value:
            case [str() as name, held]:  # a header
                return [name, _without_secrets(name, held, depth)]
        return [_without_secrets("", held, depth) for held in value]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    return _clean(text)


def _clean(text: str) -> str:
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "..."
    return _SECRET.sub(rf"\g<kept>{REDACTED}", text)


class _Writer:
    """What structlog calls with a rendered line, under the name of its level."""

    def __init__(self, sink: Sink) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = sink.write


class _Factory:
    """Makes the writers structlog asks for."""

    def __init__(self, sink: Sink) -> None:
        self._writer = _Writer(sink)

    def __call__(self, *_: object) -> _Writer:
        return self._writer


class _Relay(logging.Handler):
    """Takes the standard library's records through the same processors."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        formatter = structlog.stdlib.ProcessorFormatter
        self.setFormatter(
            formatter(
                foreign_pre_chain=[structlog.stdlib.add_logger_name],
                processors=[formatter.remove_processors_meta, *_PROCESSORS, _render_text],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self._sink.write(self.format(record).encode())


def _render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    return encode(event).decode()

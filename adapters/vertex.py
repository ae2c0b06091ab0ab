"""Google's Vertex AI: Gemini models, and Claude, by their own formats at Google's address.

Which of the two a model is, its name says; what an answer is, its first bytes. The base URL is
a host, which follows from the location unless it is given.

Options of the provider, beside those of `adapters/gemini.py`:

    project       the project's id; without it the express mode's short paths are used
    location      "global" unless given; a region, or "us" or "eu" for all of them there
    api_version   "v1beta1" unless given
    quota_project the project that is billed, where it is another
    labels        for the bill
    beta          for Claude, as in `adapters/anthropic.py`

The credential is an API key, an access token, or the text of a key file; without one the
machine's own identity is used (application default credentials). The last two need the
package google-auth.

Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference and
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from adapters import _gemini_embeddings, _gemini_images, anthropic, gemini
from adapters._gcp import authorizer, is_key_file
from adapters._gemini_errors import raise_enclosed
from adapters._gemini_parts import media_urls
from adapters._gemini_request import body
from proxy import counting, embeddings
from proxy.adapter import (
    Defaults,
    Dropped,
    Headers,
    Operation,
    Pieces,
    Target,
    Translator,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.errors import UpstreamError, UpstreamTruncated
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

__all__ = ["authorize", "authorizer", "defaults", "error", "operations"]

defaults = Defaults(
    base_url="https://aiplatform.googleapis.com",
    base_url_variable="GOOGLE_VERTEX_BASE_URL",
    machine=("GOOGLE_APPLICATION_CREDENTIALS",),
    options=MappingProxyType(
        {
            "project": ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"),
            "location": ("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION"),
        }
    ),
    package="google.auth",
)

_LOCATION = re.compile(r"[a-z]+(?:-[a-z]+[0-9]{1,2})?")
_EVERYWHERE, _CONTINENTS = "global", frozenset({"us", "eu"})


def base_url(given: str, options: Mapping[str, Any]) -> str:
    """Return the base URL of the location that the options name, unless one is given.

    Raises:
        ValueError: the location is none.

    Source: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (2026-11-26)
    """
    location = options.get("location", _EVERYWHERE)
    if given or location == _EVERYWHERE:
        return given
    if not isinstance(location, str) or not _LOCATION.fullmatch(location):
        raise ValueError(f"options.location must be as europe-west4 or global, not {location!r}")
    if location in _CONTINENTS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


ANTHROPIC_VERSION = "vertex-2023-10-16"
"""What stands in the body where Anthropic's own host wants a header."""

COUNTED = ("contents", "systemInstruction", "tools", "generationConfig")
"""Members of a Gemini model's body that a count takes."""

_API_KEY = re.compile(r"AIza|AQ\.")
_JSON = ("content-type", "application/json")


class _Kind(msgspec.Struct):
    type: str | None = None


_KIND = msgspec.json.Decoder(_Kind)


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the header with a key or a token; a key file is the authorizer's business."""
    credential = target.credential
    if not credential or is_key_file(credential):
        return target.headers
    if _API_KEY.match(credential):
        return (("x-goog-api-key", credential), *target.headers)
    return (("authorization", f"Bearer {credential}"), *target.headers)


def is_claude(model: str) -> bool:
    """Whether a model is one of Anthropic's."""
    return model.rpartition("/")[2].startswith("claude")


def path(target: Target, method: str) -> str:
    """Return the path of a method of a model, tuned ones by their endpoint included."""
    options = target.options
    version = options.get("api_version", "v1beta1")
    place = ""
    if "project" in options:
        place = f"projects/{options['project']}/locations/{options.get('location', 'global')}/"
    model = target.model
    if model.startswith("projects/"):
        place = ""
    elif "/" not in model or not model.startswith(("publishers/", "endpoints/")):
        publisher, _, name = model.rpartition("/")
        publisher = publisher or ("anthropic" if is_claude(model) else "google")
        model = f"publishers/{publisher}/models/{name}"
    return f"/{version}/{place}{quote(model, safe='/@')}:{method}"


def _chat(request: Request, target: Target) -> UpstreamRequest:
    """Build a request of the model's own format.

    Raises:
        InvalidRequest: the request is not one of OpenAI's.
    """
    if is_claude(target.model):
        return _claude(request, target)
    document, dropped = body(request, target)
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    headers = (*authorize(target), _JSON)
    encoded = msgspec.json.encode(document)
    return UpstreamRequest("POST", path(target, method), headers, encoded, dropped=dropped)


def _claude(request: Request, target: Target) -> UpstreamRequest:
    """Build a request of Anthropic's: the model stands in the path, the version in the body."""
    document, dropped = anthropic.body(request, target, elsewhere=True)
    del document["model"]
    document["anthropic_version"] = ANTHROPIC_VERSION
    if request.stream:
        document["stream"] = True
    headers = _claude_headers(document, target)
    method = "streamRawPredict" if request.stream else "rawPredict"
    encoded = msgspec.json.encode(document)
    return UpstreamRequest("POST", path(target, method), headers, encoded, dropped=dropped)


def _claude_headers(document: Mapping[str, Any], target: Target) -> Headers:
    wanted = anthropic.betas(document, target)
    asked = (("anthropic-beta", ",".join(wanted)),) if wanted else ()
    return (*authorize(target), _JSON, *asked)


def _count(request: Request, target: Target) -> UpstreamRequest:
    """Build a count in the model's own format; `request` is one for a chat.

    Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens
    (2026-11-21)

    Raises:
        InvalidRequest: the request is not one of OpenAI's.
    """
    if is_claude(target.model):
        return _count_claude(request, target)
    document, dropped = body(request, target)
    if "cachedContent" in document:
        dropped.append(Dropped("cached_content", "what is cached already is not counted"))
    counted = {name: document[name] for name in COUNTED if name in document}
    encoded = msgspec.json.encode(counted)
    headers = (*authorize(target), _JSON)
    return UpstreamRequest("POST", path(target, "countTokens"), headers, encoded, dropped=dropped)


def _count_claude(request: Request, target: Target) -> UpstreamRequest:
    """Build a count for Claude: a model of its own counts, and the body names the other.

    Source: https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens
    (2026-11-21)
    """
    document, dropped = anthropic.counted(*anthropic.body(request, target, elsewhere=True))
    place, _, document["model"] = target.model.rpartition("/")
    document["anthropic_version"] = ANTHROPIC_VERSION
    headers = _claude_headers(document, target)
    counter = path(target._replace(model=f"{place or 'anthropic'}/count-tokens"), "rawPredict")
    encoded = msgspec.json.encode(document)
    return UpstreamRequest("POST", counter, headers, encoded, dropped=dropped)


# Vendor to OpenAI


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer of either format.

    Raises:
        UpstreamError: it is an error, or cannot be read.
    """
    translate = anthropic.response if _is_anthropic(response.body) else gemini.response
    return translate(response, created)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read an error: Google's own, also about Claude, or Anthropic's passed on."""
    read = anthropic.error if _is_anthropic(response.body) else gemini.error
    return read(response)


def _is_anthropic(answer: bytes) -> bool:
    try:
        return _KIND.decode(answer).type is not None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class Stream:
    """Hands the events to the translator of their format: Anthropic's have names."""

    __slots__ = ("_about", "_inner", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.last = b""
        self.memory: dict[str, bytes] = {}
        self._about = created, model, answer_id
        self._inner: Translator | None = None

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamError: it is an error, or cannot be read.
        """
        inner = self._inner
        if inner is None:
            if not event.data:
                raise_enclosed(event.block)
                return ()
            make = anthropic.Stream if event.name else gemini.Stream
            inner = self._inner = make(*self._about)
            self.memory = inner.memory
        chunks = inner.feed(event)
        self.usage, self.ended = inner.usage, inner.ended
        return chunks

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream and return its last chunks.

        Raises:
            UpstreamTruncated: the format's end marker never came.
        """
        inner = self._inner
        if inner is None:
            raise UpstreamTruncated("the provider's stream ended before its first event")
        chunks = inner.close()
        self.usage, self.ended, self.last = inner.usage, inner.ended, inner.last
        self.memory = inner.memory
        return chunks


_CHAT = Operation(_chat, response, Stream, SSE, media=media_urls)

operations = {
    "chat": _CHAT,
    "input_tokens": counting.operation(_count, ("totalTokens", "input_tokens"), _CHAT),
    "embeddings": Operation(
        partial(_gemini_embeddings.predict, path, authorize),
        _gemini_embeddings.response,
        None,
        SSE,
        pieces=Pieces(_gemini_embeddings.split_predictions, embeddings.join),
    ),
    "images": Operation(
        partial(_gemini_images.request, path, authorize), _gemini_images.response, None, SSE
    ),
}

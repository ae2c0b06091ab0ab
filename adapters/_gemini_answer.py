"""The answers of `generateContent` as types, and what their smaller parts come to.

Answers are read straight into these structs, since a stream has one in every chunk. Some
gateways in front of the vendor write `usage_metadata` for `usageMetadata`; such answers are
recognised by their top level and rewritten, which is slow and rare.

Source: https://ai.google.dev/api/generate-content#GenerateContentResponse (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2s
from typing import Any

import msgspec

from proxy.errors import UpstreamBadResponse
from proxy.wire import Usage

NULL = msgspec.Raw(b"null")  # absent; `Raw | None` would take nothing but null


class InlineData(msgspec.Struct, rename="camel", gc=False):
    """A file in the answer, as base64."""

    mime_type: str | None = None
    data: str | None = None


class FunctionCall(msgspec.Struct, gc=False):
    """A call the model wants made; few hosts give it an id."""

    name: str | None = None
    args: msgspec.Raw = NULL
    id: str | None = None

    @property
    def arguments(self) -> str:
        """Its arguments as JSON text without spaces."""
        raw = bytes(self.args)
        return "{}" if raw == b"null" else msgspec.json.format(raw, indent=-1).decode()


class Part(msgspec.Struct, rename="camel"):
    """A part of the answer; those of the vendor's own tools have none of these members."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: InlineData | None = None


class Content(msgspec.Struct):
    """A turn of the model."""

    parts: list[Part] | None = None


class Source(msgspec.Struct, gc=False):
    """Where something was found; `uri` may lead there by a redirect of the vendor's."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct, rename="camel"):
    """One thing found, on the web, in a store or on the map."""

    web: Source | None = None
    retrieved_context: Source | None = None
    maps: Source | None = None


class Segment(msgspec.Struct, rename="camel", gc=False):
    """A stretch of the text, in bytes of UTF-8."""

    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class Support(msgspec.Struct, rename="camel"):
    """Which things found a stretch of the text rests on."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(msgspec.Struct, rename="camel"):
    """What was found, and what rests on it."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[Support] | None = None


class Citation(msgspec.Struct, rename="camel", gc=False):
    """A stretch of the text that stands elsewhere too."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class Citations(msgspec.Struct, rename="camel"):
    """Two hosts, two names."""

    citation_sources: list[Citation] | None = None
    citations: list[Citation] | None = None


class Logprob(msgspec.Struct, rename="camel", gc=False):
    """A token and its logarithmic probability."""

    token: str | None = None
    log_probability: float | None = None


class Alternatives(msgspec.Struct):
    """The likeliest tokens of one place."""

    candidates: list[Logprob] | None = None


class Logprobs(msgspec.Struct, rename="camel"):
    """The tokens chosen, and at each place the likeliest."""

    chosen_candidates: list[Logprob] | None = None
    top_candidates: list[Alternatives] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One of the answers, or a piece of it."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    grounding_metadata: Grounding | None = None
    citation_metadata: Citations | None = None
    logprobs_result: Logprobs | None = None

    @property
    def parts(self) -> Sequence[Part]:
        """Its parts; none where there is no content."""
        return (self.content and self.content.parts) or ()


class Feedback(msgspec.Struct, rename="camel", gc=False):
    """What the vendor's filter said of the prompt."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Detail(msgspec.Struct, rename="camel", gc=False):
    """Tokens of one sort."""

    modality: str | None = None
    token_count: int | None = None


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """`usageMetadata`."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: list[Detail] | None = None
    candidates_tokens_details: list[Detail] | None = None

    def usage(self, images: int = 0) -> Usage:
        """Return our own form.

        Cached tokens are part of the prompt's; what the vendor's tools brought in comes on
        top of it, and thoughts on top of the candidates.
        """
        thoughts = self.thoughts_token_count or 0
        return Usage(
            input_tokens=(self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0),
            cached_tokens=self.cached_content_token_count or 0,
            output_tokens=(self.candidates_token_count or 0) + thoughts,
            reasoning_tokens=thoughts,
            audio_input_tokens=_audio(self.prompt_tokens_details),
            audio_output_tokens=_audio(self.candidates_tokens_details),
            images=images,
        )


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Metadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: msgspec.Raw = NULL
    other_usage: msgspec.Raw = msgspec.field(default=NULL, name="usage_metadata")
    other_model: msgspec.Raw = msgspec.field(default=NULL, name="model_version")
    other_feedback: msgspec.Raw = msgspec.field(default=NULL, name="prompt_feedback")

    @property
    def is_snake(self) -> bool:
        """Whether its members are named in the other way."""
        return not (self.other_usage is self.other_model is self.other_feedback is NULL)


_ANSWER = msgspec.json.Decoder(Answer)
_UNDERSCORE = re.compile(r"_([a-z])")
_OPAQUE = frozenset({"args", "error"})


def read(data: bytes) -> Answer:
    """Read an answer.

    Raises:
        UpstreamBadResponse: it is none.
    """
    try:
        answer = _ANSWER.decode(data)
        if answer.is_snake:
            renamed = msgspec.json.encode(_camel(msgspec.json.decode(data)))
            answer = _ANSWER.decode(renamed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UpstreamBadResponse("the provider sent something that is no answer") from None
    return answer


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        _UNDERSCORE.sub(lambda found: found[1].upper(), name): item
        if name in _OPAQUE
        else _camel(item)
        for name, item in value.items()
    }


def _audio(details: Sequence[Detail] | None) -> int:
    if not details:
        return 0
    return sum(detail.token_count or 0 for detail in details if detail.modality == "AUDIO")


def call_id(answer_id: str, place: tuple[int, int], name: str, arguments: str) -> str:
    """Return a short id that the same call always gets, and no other.

    Args:
        answer_id: the vendor's id of the answer.
        place: the candidate's index and the call's number in it.
        name: of what is called.
        arguments: as JSON text.
    """
    seed = f"{answer_id} {place} {name} {arguments}".encode()
    return f"call_{blake2s(seed, digest_size=12).hexdigest()}"


def image(data: InlineData, number: int) -> dict[str, Any]:
    """Return a picture in the form that clients of other gateways know."""
    url = f"data:{data.mime_type or 'image/png'};base64,{data.data or ''}"
    return {"type": "image_url", "index": number, "image_url": {"url": url}}


def sources_of(
    text: str, grounding: Grounding | None, citations: Sequence[Citation]
) -> list[dict[str, Any]]:
    """Return where the text comes from, as OpenAI's `url_citation`s, each once."""
    found = []
    chunks = (grounding and grounding.grounding_chunks) or []
    sources = [chunk.web or chunk.retrieved_context or chunk.maps or Source() for chunk in chunks]
    for support in (grounding and grounding.grounding_supports) or ():
        span = _span(text, support.segment or Segment())
        numbers = support.grounding_chunk_indices or ()
        found += [_citation(sources[n], span) for n in numbers if 0 <= n < len(sources)]
    if not found:
        found = [_citation(source, (0, len(text))) for source in sources]
    for cited in citations:
        span = _span(text, Segment(cited.start_index, cited.end_index))
        found.append(_citation(Source(cited.uri, cited.title), span))
    kept = {msgspec.json.encode(one): one for one in found if one["url_citation"]["url"]}
    return list(kept.values())


def _citation(source: Source, span: tuple[int, int]) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": span[0],
            "end_index": span[1],
            "url": source.uri or "",
            "title": source.title or "",
        },
    }


def _span(text: str, segment: Segment) -> tuple[int, int]:
    """Return a stretch in characters; one without an end is the whole text."""
    raw = text.encode()
    start = len(raw[: segment.start_index or 0].decode("utf-8", "ignore"))
    end = len(raw[: segment.end_index or len(raw)].decode("utf-8", "ignore"))
    if segment.text and text[start:end] != segment.text:
        found = text.find(segment.text)
        if found >= 0:
            return found, found + len(segment.text)
    return start, end


def logprobs(result: Logprobs | None) -> dict[str, Any] | None:
    """Return OpenAI's `logprobs` of a choice."""
    if result is None or not result.chosen_candidates:
        return None
    tops = result.top_candidates or []
    content = []
    for number, chosen in enumerate(result.chosen_candidates):
        top = (tops[number].candidates or []) if number < len(tops) else []
        entry = _logprob(chosen)
        entry["top_logprobs"] = [_logprob(one) for one in top]
        content.append(entry)
    return {"content": content, "refusal": None}


def _logprob(one: Logprob) -> dict[str, Any]:
    token = one.token or ""
    return {"token": token, "logprob": one.log_probability or 0.0, "bytes": list(token.encode())}

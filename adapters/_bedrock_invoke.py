"""InvokeModel: embeddings and images, where every maker has a form of its own.

Sources (2026-11-21), all under https://docs.aws.amazon.com/: bedrock/latest/userguide/
model-parameters-titan-embed-text.html, model-parameters-titan-embed-mm.html,
model-parameters-embed-v3.html, model-parameters-embed-v4.html,
model-parameters-titan-image.html, model-parameters-diffusion-3-5-large.html,
model-parameters-diffusion-stable-image-core-text-image-request-response.html;
nova/latest/userguide/image-gen-req-resp-structure.html; nova-2's embeddings as recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from math import gcd
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from adapters import _bedrock_errors as errors
from proxy import embeddings
from proxy.adapter import Dropped, Headers, Target, UpstreamRequest, UpstreamResponse, header
from proxy.chat import unsupported
from proxy.errors import ContentFiltered, InvalidRequest, UpstreamBadResponse, UpstreamFailed
from proxy.wire import Request, Response, Usage

JSON = (("content-type", "application/json"), ("accept", "application/json"))

_INPUT_TYPE = "search_document"
_TOKENS = "x-amzn-bedrock-input-token-count"
_REASON = "this model has no such parameter"
_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_BLOCKED = re.compile(r"filter|block|moderation|policy", re.IGNORECASE)
_PREMIUM = frozenset({"hd", "high", "premium"})


class Form(NamedTuple):
    """How one maker's model is asked.

    Attributes:
        found: tells its models by their names.
        build: the request's body; it adds to the list what it leaves out.
        known: the members of the request it looks at.
        texts: how many texts it takes at once, of which it makes a vector each.
    """

    found: re.Pattern[str]
    build: Callable[[Request, Target, list[Dropped]], dict[str, Any]]
    known: frozenset[str]
    texts: int = 1


def invoke(
    forms: Iterable[Form], request: Request, target: Target, headers: Headers
) -> UpstreamRequest:
    """Build an InvokeModel request in the form of the model's maker.

    Raises:
        InvalidRequest: the model is of no maker we know, or cannot take the input.
    """
    form = _form(forms, target.model)
    missing = unsupported(request, form.known, _REASON)
    dropped = [member for member in missing if request.raw(member.name) != b'"auto"']
    body = msgspec.json.encode(form.build(request, target, dropped))
    path = f"/model/{quote(target.model, safe='')}/invoke"
    return UpstreamRequest("POST", path, (*headers, *JSON), body, dropped=dropped)


def _form(forms: Iterable[Form], model: str) -> Form:
    found = next((form for form in forms if form.found.search(model)), None)
    if found is None:
        raise InvalidRequest(f"how to ask {model!r} for this is not known", param="model")
    return found


def guardrail(target: Target) -> Headers:
    """Return the headers that name the guardrail of a provider's options."""
    config = target.options.get("guardrailConfig") or {}
    names = [name for name in ("guardrailIdentifier", "guardrailVersion") if name in config]
    return [(f"x-amzn-bedrock-{name.lower()}", str(config[name])) for name in names]


# Embeddings


def split(request: Request, target: Target) -> Sequence[Request]:
    """Return requests of as many texts as the model takes.

    Raises:
        InvalidRequest: the model is of no maker we know, or there are too many texts.
    """
    return embeddings.split(request, _form(EMBEDDINGS, target.model).texts)


class _Input(msgspec.Struct):
    input: str | list[str]


def _texts(request: Request) -> list[str]:
    """Return what is to be embedded.

    Raises:
        InvalidRequest: it is missing, or tokens, of which every model has others.
    """
    given = request.view(_Input).input
    texts = [given] if isinstance(given, str) else given
    if not texts:
        raise InvalidRequest("`input` is empty", param="input")
    return texts


def _one_text(request: Request) -> str:
    texts = _texts(request)
    if len(texts) > 1:
        raise InvalidRequest("this model embeds one text a call", param="input")
    return texts[0]


def _titan(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    return {"inputText": _one_text(request)}


def _titan_2(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    body: dict[str, Any] = _titan(request, target, dropped)
    if (dimensions := request.get("dimensions", int)) is not None:
        body["dimensions"] = dimensions
    if (normalize := request.get("normalize", bool)) is not None:
        body["normalize"] = normalize
    return body


def _titan_image(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    body: dict[str, Any] = _titan(request, target, dropped)
    if (dimensions := request.get("dimensions", int)) is not None:
        body["embeddingConfig"] = {"outputEmbeddingLength": dimensions}
    return body


def _nova_vectors(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    purpose = request.get("embedding_purpose", str) or target.options.get("embedding_purpose")
    parameters: dict[str, Any] = {
        "embeddingPurpose": purpose or "GENERIC_INDEX",
        "text": {"truncationMode": "END", "value": _one_text(request)},
    }
    if (dimensions := request.get("dimensions", int)) is not None:
        parameters["embeddingDimension"] = dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": parameters}


def _cohere(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    sort = request.get("input_type", str) or target.options.get("input_type") or _INPUT_TYPE
    body = {"texts": _texts(request), "input_type": sort, "embedding_types": ["float"]}
    if (truncate := request.get("truncate", str)) is not None:
        body["truncate"] = truncate
    return body


def _cohere_4(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    body = _cohere(request, target, dropped)
    if (dimensions := request.get("dimensions", int)) is not None:
        body["output_dimension"] = dimensions
    return body


_VECTOR = frozenset({"input", "encoding_format"})
EMBEDDINGS = (
    Form(re.compile("titan-embed-text-v2"), _titan_2, _VECTOR | {"dimensions", "normalize"}),
    Form(re.compile("titan-embed-image"), _titan_image, _VECTOR | {"dimensions"}),
    Form(re.compile("titan-embed"), _titan, _VECTOR),
    Form(
        re.compile("nova-.*embeddings"),
        _nova_vectors,
        _VECTOR | {"dimensions", "embedding_purpose"},
    ),
    Form(
        re.compile(r"cohere\.embed-v4"),
        _cohere_4,
        _VECTOR | {"input_type", "dimensions", "truncate"},
        texts=96,
    ),
    Form(re.compile(r"cohere\.embed"), _cohere, _VECTOR | {"input_type", "truncate"}, texts=96),
)


class _Typed(msgspec.Struct):
    """An element of Nova's list, or all vectors of Cohere's answer by their type."""

    embedding: msgspec.Raw = msgspec.Raw(b"null")
    float: list[msgspec.Raw] | None = None


class _Vectors(msgspec.Struct):
    embedding: msgspec.Raw = msgspec.Raw(b"null")
    embeddings: msgspec.Raw = msgspec.Raw(b"null")
    tokens: int | None = msgspec.field(default=None, name="inputTextTokenCount")


_VECTORS = msgspec.json.Decoder(_Vectors)
_BY_TYPE = msgspec.json.Decoder(_Typed)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NULL = msgspec.Raw(b"null")


def embedded(response: UpstreamResponse, created: int) -> Response:
    """Read vectors, which stay the text they came as.

    Raises:
        UpstreamBadResponse: there are none in it.
    """
    try:
        answer = _VECTORS.decode(response.body)
        vectors = _listed(answer)
    except errors.UNREADABLE:
        raise UpstreamBadResponse("the provider sent no embeddings") from None
    if not vectors:
        raise UpstreamBadResponse("the provider sent no embeddings")
    counted = header(response.headers, _TOKENS) or ""
    tokens = int(counted) if counted.isdecimal() else answer.tokens
    usage = None if tokens is None else Usage(input_tokens=tokens)
    return embeddings.embeddings(response, vectors, usage)


def _listed(answer: _Vectors) -> Sequence[msgspec.Raw]:
    if answer.embedding != _NULL:
        return [answer.embedding]
    if bytes(answer.embeddings).startswith(b"{"):
        return _BY_TYPE.decode(answer.embeddings).float or ()
    found = _LIST.decode(answer.embeddings) if answer.embeddings != _NULL else []
    plain = [bytes(vector).startswith(b"[") for vector in found]
    return [v if p else _BY_TYPE.decode(v).embedding for v, p in zip(found, plain, strict=True)]


# Images


def _prompt(request: Request) -> str:
    prompt = request.get("prompt", str)
    if not prompt:
        raise InvalidRequest("`prompt` is missing", param="prompt")
    return prompt


def _in_the_answer(request: Request, dropped: list[Dropped]) -> None:
    if request.get("response_format", str) == "url":
        dropped.append(Dropped("response_format", "images come in the answer"))


def _size(request: Request) -> tuple[int, int] | None:
    size = request.get("size", str)
    if size in (None, "auto"):
        return None
    if (found := _SIZE.fullmatch(size or "")) is None or "0" in (found[1], found[2]):
        raise InvalidRequest("`size` must be such as 1024x1024", param="size")
    return int(found[1]), int(found[2])


def _amazon(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    _in_the_answer(request, dropped)
    quality = "premium" if request.get("quality", str) in _PREMIUM else "standard"
    config: dict[str, Any] = {"numberOfImages": request.get("n", int) or 1, "quality": quality}
    if size := _size(request):
        config |= {"width": size[0], "height": size[1]}
    if (seed := request.get("seed", int)) is not None:
        config["seed"] = seed
    if (scale := request.get("cfg_scale", float)) is not None:
        config["cfgScale"] = scale
    words = {"text": _prompt(request)}
    if negative := request.get("negative_prompt", str):
        words["negativeText"] = negative
    return {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": words,
        "imageGenerationConfig": config,
    }


def _stability(request: Request, target: Target, dropped: list[Dropped]) -> dict[str, Any]:
    _in_the_answer(request, dropped)
    body: dict[str, Any] = {"prompt": _prompt(request)}
    if (request.get("n", int) or 1) > 1:
        dropped.append(Dropped("n", "this model makes one image a call"))
    if size := _size(request):
        body["aspect_ratio"] = ratio = _ratio(*size)
        if ratio != _exact(*size):
            dropped.append(Dropped("size", f"the nearest shape is {ratio}"))
    if wanted := request.get("output_format", str):
        if wanted in ("png", "jpeg"):
            body["output_format"] = wanted
        else:
            dropped.append(Dropped("output_format", "this model makes png and jpeg"))
    if (seed := request.get("seed", int)) is not None:
        body["seed"] = seed
    if negative := request.get("negative_prompt", str):
        body["negative_prompt"] = negative
    return body


def _exact(width: int, height: int) -> str:
    factor = gcd(width, height)
    return f"{width // factor}:{height // factor}"


def _ratio(width: int, height: int) -> str:
    def apart(ratio: str) -> float:
        across, _, down = ratio.partition(":")
        return abs(width * int(down) / (height * int(across)) - 1)

    return min(_RATIOS, key=apart)


_IMAGE = frozenset({"prompt", "n", "size", "response_format", "seed", "negative_prompt"})
IMAGES = (
    Form(re.compile("titan-image|nova-canvas"), _amazon, _IMAGE | {"quality", "cfg_scale"}),
    Form(re.compile(r"stability\.(sd3|stable-image)"), _stability, _IMAGE | {"output_format"}),
)


class _Images(msgspec.Struct):
    images: list[str] | None = None
    error: str | None = None
    finish_reasons: list[str | None] | None = None


_IMAGES = msgspec.json.Decoder(_Images)


def drawn(response: UpstreamResponse, created: int) -> Response:
    """Read images.

    Raises:
        ContentFiltered: the prompt or what came of it was refused.
        UpstreamFailed: the model failed.
        UpstreamBadResponse: there are no images in it.
    """
    try:
        answer = _IMAGES.decode(response.body)
    except errors.UNREADABLE:
        raise UpstreamBadResponse("the provider sent no images") from None
    reasons = [reason for reason in answer.finish_reasons or () if reason]
    if not answer.images or len(reasons) == len(answer.images):
        words = answer.error or ", ".join(reasons)
        if _BLOCKED.search(words):
            raise ContentFiltered(words)
        if words:
            raise UpstreamFailed(words)
        raise UpstreamBadResponse("the provider sent no images")
    data = [{"b64_json": image} for image in answer.images]
    document = {"created": created, "data": data}
    return Response(msgspec.json.encode(document), Usage(images=len(data)))

"""Pictures by Google's models, in OpenAI's `images` form.

Two families: Imagen predicts pictures; Gemini's image models answer with them, in the turns of
a conversation.

Sources: https://ai.google.dev/gemini-api/docs/imagen and
https://ai.google.dev/gemini-api/docs/image-generation (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from adapters import _gemini_errors
from adapters._gemini_answer import Answer
from proxy.adapter import Dropped, Headers, Target, UpstreamRequest, UpstreamResponse
from proxy.chat import unsupported
from proxy.errors import ContentFiltered, InvalidRequest, UpstreamBadResponse
from proxy.wire import Request, Response, Usage

RATIOS = {
    **{"1024x1024": "1:1", "512x512": "1:1", "256x256": "1:1", "2048x2048": "1:1"},
    **{"1536x1024": "3:2", "1024x1536": "2:3", "1792x1024": "16:9", "1024x1792": "9:16"},
    **{"1408x768": "16:9", "768x1408": "9:16", "1280x896": "4:3", "896x1280": "3:4"},
}
"""OpenAI's sizes as what the models know: the relation of the sides."""

_IMAGEN_RATIOS = {"3:2": "4:3", "2:3": "3:4"}
_KNOWN = frozenset(
    {
        *("prompt", "n", "size", "response_format", "output_format"),
        *("aspect_ratio", "image_size", "seed", "negative_prompt"),
    }
)
_JSON = ("content-type", "application/json")


class _Prediction(msgspec.Struct, rename="camel", gc=False):
    bytes_base64_encoded: str | None = None
    mime_type: str | None = None
    rai_filtered_reason: str | None = None


class _Answer(msgspec.Struct):
    predictions: list[_Prediction] | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def request(
    path: Callable[[Target, str], str],
    authorize: Callable[[Target], Headers],
    request: Request,
    target: Target,
) -> UpstreamRequest:
    """Build `predict` or `generateContent`, whichever the model takes.

    Raises:
        InvalidRequest: there is no prompt.
    """
    prompt = request.get("prompt", str)
    if not prompt:
        raise InvalidRequest("`prompt` is missing", param="prompt")
    dropped = unsupported(request, _KNOWN, "the vendor has nothing like it")
    if request.get("response_format", str) == "url":
        dropped.append(Dropped("response_format", "pictures come as b64_json"))
    ratio = request.get("aspect_ratio", str) or _ratio(request, dropped)
    is_imagen = "imagen" in target.model
    build, method = (_imagen, "predict") if is_imagen else (_gemini, "generateContent")
    document = build(request, prompt, ratio, dropped)
    return UpstreamRequest(
        "POST",
        path(target, method),
        (*authorize(target), _JSON),
        msgspec.json.encode(document),
        dropped=dropped,
    )


def _ratio(request: Request, dropped: list[Dropped]) -> str | None:
    size = request.get("size", str)
    if size is None or size == "auto":
        return None
    if size not in RATIOS:
        dropped.append(Dropped("size", f"no relation of sides is known for {size!r}"))
    return RATIOS.get(size)


def _imagen(
    request: Request, prompt: str, ratio: str | None, dropped: list[Dropped]
) -> dict[str, Any]:
    kind = request.get("output_format", str)
    parameters = {
        "sampleCount": request.get("n", int) or 1,
        "aspectRatio": _IMAGEN_RATIOS.get(ratio, ratio) if ratio else None,
        "sampleImageSize": request.get("image_size", str),
        "negativePrompt": request.get("negative_prompt", str),
        "seed": request.get("seed", int),
        "outputOptions": {"mimeType": f"image/{kind}"} if kind else None,
    }
    return {
        "instances": [{"prompt": prompt}],
        "parameters": {key: value for key, value in parameters.items() if value is not None},
    }


def _gemini(
    request: Request, prompt: str, ratio: str | None, dropped: list[Dropped]
) -> dict[str, Any]:
    if (request.get("n", int) or 1) > 1:
        dropped.append(Dropped("n", "the model answers with as many pictures as it likes"))
    foreign = [name for name in ("output_format", "negative_prompt") if name in request]
    dropped += [Dropped(name, "only Imagen models take it") for name in foreign]
    wanted = {"aspectRatio": ratio, "imageSize": request.get("image_size", str)}
    picture = {key: value for key, value in wanted.items() if value is not None}
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if picture:
        config["imageConfig"] = picture
    if (seed := request.get("seed", int)) is not None:
        config["seed"] = seed
    return {
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "generationConfig": config,
    }


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate an answer of either family.

    Raises:
        ContentFiltered: the prompt, or every picture, was blocked.
        UpstreamBadResponse: it cannot be read, or holds no picture.
        UpstreamError: it is an error in a 200.
    """
    try:
        predictions = _ANSWER.decode(response.body).predictions
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        predictions = None
    if predictions is not None:
        return _predicted(predictions, created)
    return _answered(_gemini_errors.answer(response.body), created)


def _predicted(predictions: list[_Prediction], created: int) -> Response:
    pictures = [one.bytes_base64_encoded for one in predictions if one.bytes_base64_encoded]
    reasons = [one.rai_filtered_reason for one in predictions if one.rai_filtered_reason]
    if not pictures and reasons:
        raise ContentFiltered(f"the provider blocked the picture: {reasons[0]}")
    return _pictures(pictures, created, Usage(images=len(pictures)))


def _answered(answer: Answer, created: int) -> Response:
    feedback = answer.prompt_feedback
    if feedback is not None and feedback.block_reason:
        raise _gemini_errors.blocked(feedback)
    candidates = answer.candidates or []
    parts = [part for candidate in candidates for part in candidate.parts]
    files = [part.inline_data for part in parts if part.inline_data is not None]
    pictures = [file.data for file in files if file.data]
    reasons = [one.finish_reason for one in candidates if one.finish_reason not in (None, "STOP")]
    if not pictures and reasons:
        raise ContentFiltered(f"the provider gave no picture: {reasons[0]}")
    usage = answer.usage_metadata.usage(len(pictures)) if answer.usage_metadata else None
    return _pictures(pictures, created, usage or Usage(images=len(pictures)))


def _pictures(pictures: list[str], created: int, usage: Usage) -> Response:
    """Return OpenAI's answer; tokens are told where the vendor counts them.

    Raises:
        UpstreamBadResponse: there is no picture.
    """
    if not pictures:
        raise UpstreamBadResponse("the provider's answer holds no picture")
    document: dict[str, Any] = {
        "created": created,
        "data": [{"b64_json": picture} for picture in pictures],
    }
    if usage.output_tokens:
        document["usage"] = {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"text_tokens": usage.input_tokens, "image_tokens": 0},
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
    return Response(msgspec.json.encode(document), usage)

"""OpenAI's chat request to the body of `generateContent`, for every host that takes it.

Source: https://ai.google.dev/api/generate-content (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters._gemini_parts import Conversation, generation
from adapters._gemini_schema import plain
from proxy.adapter import Dropped, Target
from proxy.chat import ChatRequest, Tool, unsupported
from proxy.errors import InvalidRequest
from proxy.wire import Request

TOP_LEVEL = {
    "safety_settings": "safetySettings",
    "cached_content": "cachedContent",
    "labels": "labels",
}
"""The vendor's own members, taken from the options and from requests under either name."""

IN_CONFIG = {
    "thinking_config": "thinkingConfig",
    "media_resolution": "mediaResolution",
    "image_config": "imageConfig",
    "speech_config": "speechConfig",
    "response_modalities": "responseModalities",
}
"""Those that belong to `generationConfig`."""

LEVELS = {
    **{"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW"},
    **{"medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH"},
}
"""`thinkingLevel`, since generation 3. Pro models have no MINIMAL."""

BUDGETS = {
    **{"none": 0, "minimal": 1024, "low": 1024},
    **{"medium": 8192, "high": 24576, "xhigh": 24576},
}
"""`thinkingBudget` in tokens, as the vendor's own OpenAI endpoint translates it.

Source: https://ai.google.dev/gemini-api/docs/openai#thinking (2026-11-21)
"""

_LEAST_PRO_BUDGET = 128
_CANNOT_STOP = "this model always thinks; it now thinks as little as it can"
_SERVER_TOOLS = {
    **{"web_search": "googleSearch", "web_search_preview": "googleSearch"},
    **{"google_search": "googleSearch", "code_interpreter": "codeExecution"},
    **{"code_execution": "codeExecution", "url_context": "urlContext"},
    **{"google_maps": "googleMaps", "enterprise_web_search": "enterpriseWebSearch"},
    **{"google_search_retrieval": "googleSearchRetrieval", "file_search": "fileSearch"},
}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_TIERS = {"flex": "flex", "priority": "priority"}
_KNOWN = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "n", "stop"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "seed", "logprobs"),
        *("presence_penalty", "frequency_penalty", "top_logprobs", "reasoning_effort"),
        *("service_tier", "modalities", "audio", "web_search_options", "extra_body"),
        *TOP_LEVEL,
        *TOP_LEVEL.values(),
        *IN_CONFIG,
        *IN_CONFIG.values(),
    }
)


def body(request: Request, target: Target) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the body of `generateContent`, and what of the request is not in it.

    Raises:
        InvalidRequest: the request is not one of OpenAI's.
    """
    chat = request.view(ChatRequest)
    dropped = unsupported(request, _KNOWN, "the vendor has nothing like it")
    talk = Conversation(chat.messages, target)
    dropped += talk.dropped
    native = _native(request, target.options)
    config = _config(request, chat, native, dropped)
    if "thinkingConfig" not in config and chat.reasoning_effort is not None:
        _think(config, target.model, chat.reasoning_effort, dropped)
    document = {
        "systemInstruction": {"parts": talk.system} if talk.system else None,
        "contents": talk.contents,
        "tools": _tools(request, chat, dropped),
        "toolConfig": _tool_config(chat, dropped),
        "generationConfig": config,
        "serviceTier": _tier(chat.service_tier, dropped),
        **{name: native.get(name) for name in TOP_LEVEL.values()},
    }
    return {name: value for name, value in document.items() if value}, dropped


def _native(request: Request, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the vendor's own members: the options', then the request's.

    `extra_body.google` is where clients of the vendor's OpenAI endpoint put them.
    """
    extra = request.get("extra_body", dict[str, Any]) or {}
    google = extra.get("google")
    given = google if isinstance(google, dict) else {}
    found: dict[str, Any] = {}
    for snake, camel in (TOP_LEVEL | IN_CONFIG).items():
        for value in (
            options.get(snake),
            given.get(snake, given.get(camel)),
            request.get(snake, object),
            request.get(camel, object),
        ):
            if value is not None:
                found[camel] = value
    return found


def _config(
    request: Request, chat: ChatRequest, native: Mapping[str, Any], dropped: list[Dropped]
) -> dict[str, Any]:
    """Return `generationConfig`."""
    config: dict[str, Any] = {
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "topK": chat.top_k,
        "maxOutputTokens": chat.limit_tokens,
        "candidateCount": chat.n if chat.n != 1 else None,
        "stopSequences": chat.stops or None,
        "seed": chat.seed,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
        "responseLogprobs": chat.logprobs or None,
        "logprobs": chat.top_logprobs if chat.logprobs else None,
        **_format(chat, dropped),
        **_modalities(request, dropped),
        **{name: native.get(name) for name in IN_CONFIG.values() if name in native},
    }
    return {name: value for name, value in config.items() if value is not None}


def _format(chat: ChatRequest, dropped: list[Dropped]) -> dict[str, Any]:
    """Return what makes the answer JSON."""
    wanted = chat.response_format
    if wanted is None or wanted.type == "text":
        return {}
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.json_schema is not None and wanted.json_schema.schema is not None:
        schema, missing = plain(wanted.json_schema.schema)
        _lose_keywords("response_format.json_schema.schema", missing, dropped)
        config["responseJsonSchema"] = schema
    return config


def _lose_keywords(name: str, missing: list[str], dropped: list[Dropped]) -> None:
    if missing:
        dropped.append(Dropped(name, f"schemas cannot say: {', '.join(missing)}"))


def _modalities(request: Request, dropped: list[Dropped]) -> dict[str, Any]:
    """Return what the answer is made of; sound comes without text."""
    wanted = [name.upper() for name in request.get("modalities", list[str]) or ()]
    if "AUDIO" not in wanted:
        return {"responseModalities": wanted} if wanted and wanted != ["TEXT"] else {}
    audio = request.get("audio", dict[str, Any]) or {}
    if audio.get("format", "pcm16") != "pcm16":
        dropped.append(Dropped("audio.format", "sound comes as pcm16"))
    voice = audio.get("voice")
    speech = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    return {"responseModalities": ["AUDIO"], **({"speechConfig": speech} if voice else {})}


def _think(config: dict[str, Any], model: str, effort: str, dropped: list[Dropped]) -> None:
    """Set how much the model thinks, in the terms of its generation."""
    made = generation(model)
    is_pro = "-pro" in model
    if effort not in LEVELS or (made is not None and made < (2, 5)):
        reason = "this model does not think" if effort in LEVELS else f"no effort {effort!r}"
        dropped.append(Dropped("reasoning_effort", reason))
        return
    thinking: dict[str, Any] = {"includeThoughts": effort != "none"}
    if made is not None and made >= (3, 0):
        level = LEVELS[effort]
        thinking["thinkingLevel"] = "LOW" if is_pro and level == "MINIMAL" else level
        cannot_stop = effort == "none"
    else:
        cannot_stop = effort == "none" and is_pro
        thinking["thinkingBudget"] = _LEAST_PRO_BUDGET if cannot_stop else BUDGETS[effort]
    if cannot_stop:
        dropped.append(Dropped("reasoning_effort", _CANNOT_STOP))
    config["thinkingConfig"] = thinking


def _tools(request: Request, chat: ChatRequest, dropped: list[Dropped]) -> list[dict[str, Any]]:
    """Return the functions in one tool, and each of the vendor's own in its own."""
    tools = chat.tools or []
    functions = [_declaration(tool, dropped) for tool in tools if tool.function is not None]
    found: list[dict[str, Any]] = [{"functionDeclarations": functions}] if functions else []
    if any(tool.function is None for tool in tools):
        found += _server_tools(request, dropped)
    if request.get("web_search_options", dict[str, Any]) is not None:
        found.append({"googleSearch": {}})
        if request.raw("web_search_options") != b"{}":
            dropped.append(Dropped("web_search_options", "the search takes no options"))
    return found


def _declaration(tool: Tool, dropped: list[Dropped]) -> dict[str, Any]:
    function = tool.function
    assert function is not None
    declared: dict[str, Any] = {"name": function.name}
    if function.description:
        declared["description"] = function.description
    if function.parameters:
        schema, missing = plain(function.parameters)
        _lose_keywords(f"tools.{function.name}.parameters", missing, dropped)
        declared["parametersJsonSchema"] = schema
    if tool.cache_control:
        dropped.append(Dropped("tools.cache_control", "what is cached is decided by the vendor"))
    return declared


def _server_tools(request: Request, dropped: list[Dropped]) -> list[dict[str, Any]]:
    """Return tools the vendor runs itself: `{"type": "google_search", "google_search": {…}}`."""
    found = []
    for tool in request.get("tools", list[dict[str, Any]]) or ():
        kind = str(tool.get("type"))
        name = _SERVER_TOOLS.get(kind)
        if name is not None:
            found.append({name: tool.get(kind) or {}})
        elif "function" not in tool:
            dropped.append(Dropped(f"tools.{kind}", "the vendor has no such tool"))
    return found


def _tool_config(chat: ChatRequest, dropped: list[Dropped]) -> dict[str, Any] | None:
    """Return which functions may or must be called.

    VALIDATED is AUTO with arguments held to their schema: what OpenAI calls `strict`.
    """
    if chat.parallel_tool_calls is False:
        dropped.append(Dropped("parallel_tool_calls", "parallel calls cannot be switched off"))
    functions = [tool.function for tool in chat.tools or () if tool.function is not None]
    if not functions:
        return None
    mode, names = _choice(chat)
    if mode in (None, "AUTO") and (names or any(function.strict for function in functions)):
        mode = "VALIDATED"
    if mode is None:
        return None
    return {
        "functionCallingConfig": {
            "mode": mode,
            **({"allowedFunctionNames": names} if names else {}),
        }
    }


def _choice(chat: ChatRequest) -> tuple[str | None, list[str]]:
    """Return the mode that `tool_choice` asks for, and the functions it allows."""
    choice = chat.tool_choice
    if choice is None:
        return None, []
    if chat.wanted_tool is not None:
        return "ANY", [chat.wanted_tool]
    if isinstance(choice, str) and choice in _MODES:
        return _MODES[choice], []
    if isinstance(choice, dict) and isinstance(choice.get("allowed_tools"), dict):
        allowed = choice["allowed_tools"]
        names = [str(tool["function"]["name"]) for tool in allowed.get("tools", ())]
        return _MODES.get(str(allowed.get("mode")), "AUTO"), names
    raise InvalidRequest("`tool_choice` is none that is known", param="tool_choice")


def _tier(wanted: str | None, dropped: list[Dropped]) -> str | None:
    if wanted is None or wanted in ("auto", "default"):
        return None
    if wanted not in _TIERS:
        dropped.append(Dropped("service_tier", f"there is no tier {wanted!r}"))
    return _TIERS.get(wanted)

"""What an OpenAI request asks for beside its messages, in Claude's words.

Each function returns members of the vendor's body; what a model does not take is named with
the reason. Members that are the vendor's own (`thinking`, `output_config`, `container`, …)
pass as the client sent them.

Source: https://platform.claude.com/docs/en/api/messages,
https://platform.claude.com/docs/en/build-with-claude/effort,
https://platform.claude.com/docs/en/api/migration-2026-10-21 (2026-11-21)
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from adapters import _anthropic_schema as schemas
from adapters._anthropic_models import Traits
from proxy.adapter import Dropped, Target
from proxy.chat import ChatRequest, JsonSchema
from proxy.wire import Request

NATIVE = frozenset(
    {
        *("cache_control", "container", "context_management", "diagnostics", "fallbacks"),
        *("inference_geo", "mcp_servers", "output_config", "speed", "thinking"),
    }
)
"""Members of the vendor's own that a client may send."""

KNOWN = NATIVE | {
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "tools"),
    *("tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "metadata"),
    *("service_tier", "safety_identifier", "web_search_options", "anthropic_beta"),
}

NO_SAMPLING_SINCE = "2026-10-21"
"""The version of the API that knows temperature, top_p and top_k no longer."""

_DEFAULTS = {
    "n": (b"1",),
    "logprobs": (b"false",),
    "presence_penalty": (b"0", b"0.0"),
    "frequency_penalty": (b"0", b"0.0"),
    "modalities": (b'["text"]',),
    "temperature": (b"1", b"1.0"),
    "top_p": (b"1", b"1.0"),
}
_BUDGETS = MappingProxyType(
    {"minimal": 1_024, "low": 4_096, "medium": 12_288, "high": 24_576, "xhigh": 32_000}
)
_LEAST_BUDGET = 1_024
_EFFORTS = MappingProxyType(
    {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
)
_TIERS = MappingProxyType(
    {
        "auto": "auto",
        "priority": "auto",
        "default": "standard_only",
        "standard_only": "standard_only",
    }
)
_CHOICES = MappingProxyType({"auto": "auto", "none": "none", "required": "any"})
_OWN_CHOICES = frozenset({"auto", "any", "tool", "none"})
_PERSONAL = re.compile(r"@|^\+?[\d\s().-]{7,}$")
_SEARCH = "web_search_20250305"
_SEARCHES = frozenset(
    {
        *("web_search", "web_search_2025_08_26"),
        *("web_search_preview", "web_search_preview_2025_03_11"),
    }
)
_OPENAIS = frozenset(
    {
        *("apply_patch", "code_interpreter", "computer", "computer_use_preview", "file_search"),
        *("image_generation", "local_shell", "mcp", "namespace", "programmatic_tool_calling"),
        *("shell", "tool_search"),
    }
)
"""Tools that OpenAI runs; the vendor's own have a date in their type."""


class Draft(NamedTuple):
    """One request on its way; `dropped` grows as it is translated."""

    request: Request
    asked: ChatRequest
    target: Target
    traits: Traits
    dropped: list[Dropped]

    def drop(self, name: str, reason: str) -> None:
        """Name a member that the vendor does not get."""
        self.dropped.append(Dropped(name, reason))

    def native(self, name: str) -> dict[str, Any]:
        """Return an object that is the vendor's own, or an empty one."""
        return self.request.get(name, dict[str, Any]) or {}

    @property
    def max_tokens(self) -> int:
        """The longest answer: as asked, else the longest this model gives."""
        return self.asked.limit_tokens or self.traits.max_tokens


def is_default(request: Request, name: str) -> bool:
    """Whether a member says what would be done without it."""
    return request.raw(name) in _DEFAULTS.get(name, ())


def sampling(draft: Draft, thinks: bool) -> dict[str, Any]:
    """Return temperature, top_p, top_k and stop sequences, as far as the model takes them."""
    asked = draft.asked
    wanted: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p", "top_k")
        if (value := getattr(asked, name)) is not None
    }
    if wanted.get("temperature", 0) > 1:
        draft.drop("temperature", "above 1 is taken for 1")
        wanted["temperature"] = 1
    for name in list(wanted):
        reason = _unsampled(draft, name, thinks, wanted)
        if reason is None:
            continue
        del wanted[name]
        if not is_default(draft.request, name):
            draft.drop(name, reason)
    stops = [text for text in asked.stops if text.strip()]
    if len(stops) < len(asked.stops):
        draft.drop("stop", "a text of white space alone ends nothing at this provider")
    return {**wanted, "stop_sequences": stops} if stops else wanted


def _unsampled(draft: Draft, name: str, thinks: bool, wanted: dict[str, Any]) -> str | None:
    """Return why a member of sampling cannot be sent; None if it can."""
    version = str(draft.target.options.get("version") or "")
    if draft.traits.sampling == "none" or version >= NO_SAMPLING_SINCE:
        return "not supported by this model"
    if name == "top_p" and draft.traits.sampling == "one" and "temperature" in wanted:
        return "this model takes temperature or top_p, not both"
    if thinks and not (name == "top_p" and wanted["top_p"] >= 0.95):
        return "not taken together with thinking"
    return None


def thinking(draft: Draft, *, forced: bool, interrupted: bool) -> dict[str, Any]:
    """Return `thinking` for the effort asked for; nothing where it is not asked for.

    Args:
        draft: the request.
        forced: a call is insisted on.
        interrupted: a tool loop is under way whose thoughts are lost.
    """
    effort = draft.asked.reasoning_effort
    if given := draft.native("thinking"):
        return {"thinking": given}
    if effort is None:
        return {}
    if effort == "none":
        return _without_thinking(draft)
    if draft.traits.thinking == "adaptive":
        return {"thinking": {"type": "adaptive", "display": "summarized"}}
    reason = _unthinkable(draft, forced, interrupted)
    if reason is not None:
        draft.drop("reasoning_effort", reason)
        return {}
    most = max(_LEAST_BUDGET, draft.max_tokens * 4 // 5)
    budget = min(_BUDGETS.get(effort, _BUDGETS["xhigh"]), most)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _without_thinking(draft: Draft) -> dict[str, Any]:
    off = draft.traits.off
    if off is None:
        draft.drop("reasoning_effort", "this model always thinks; it is told to do so least")
    return {"thinking": {"type": off}} if off and draft.traits.thinking == "adaptive" else {}


def _unthinkable(draft: Draft, forced: bool, interrupted: bool) -> str | None:
    """Return why a budget of thinking cannot be had; None if it can."""
    if draft.traits.thinking == "none":
        return "this model does not think aloud"
    if forced:
        return "this model does not think when a call is insisted on"
    if interrupted:
        return "the last calls came back without their thinking"
    if draft.max_tokens <= _LEAST_BUDGET:
        return f"thinking needs more than {_LEAST_BUDGET} tokens"
    return None


def output(draft: Draft) -> tuple[dict[str, Any], str | None]:
    """Return `output_config`, and what of the format must be asked for in words."""
    config, words = draft.native("output_config"), None
    effort = _effort(draft)
    if effort is not None:
        config.setdefault("effort", effort)
    wanted = draft.asked.response_format
    if wanted is not None and wanted.type == "json_object":
        draft.drop("response_format", "there is no JSON mode at this provider; asked for in words")
        words = "Answer with one JSON object and nothing else: no code fence, no other text."
    elif wanted is not None and wanted.json_schema is not None:
        form = _format(draft, wanted.json_schema)
        if form is None:
            words = _in_words(wanted.json_schema)
        else:
            config.setdefault("format", form)
    return ({"output_config": config} if config else {}), words


def _effort(draft: Draft) -> str | None:
    """Return the level for the effort asked for, or the nearest below that the model has."""
    asked, levels = draft.asked.reasoning_effort, draft.traits.efforts
    if asked is None or not levels:
        return None
    if asked == "none":
        return "low" if draft.traits.off is None else None
    level = _EFFORTS.get(asked, asked)
    return level if level in levels or level not in ("xhigh", "max") else "high"


def _format(draft: Draft, wanted: JsonSchema) -> dict[str, Any] | None:
    """Return the schema to bind the answer to; None if it cannot be bound."""
    name, schema = "response_format.json_schema", wanted.schema or {}
    if not draft.traits.schemas:
        draft.drop(name, "this model binds no answer to a schema; asked for in words")
    elif schemas.is_recursive(schema):
        draft.drop(name, "a schema that contains itself is not taken; asked for in words")
    else:
        cleaned, missing = schemas.plain(schema)
        if missing:
            draft.drop(f"{name}.schema", f"told but not enforced: {', '.join(missing)}")
        return {"type": "json_schema", "schema": cleaned}
    return None


def _in_words(wanted: JsonSchema) -> str:
    schema = msgspec.json.encode(wanted.schema or {}).decode()
    return f"Answer with one JSON value that satisfies this JSON Schema and nothing else: {schema}"


def tools(draft: Draft, called: list[str]) -> dict[str, Any]:
    """Return tools and how they are to be chosen.

    Args:
        draft: the request.
        called: names of tools in earlier turns, which the vendor wants to know.
    """
    allowed, choice = _choice(draft)
    found = []
    for index, tool in enumerate(draft.request.get("tools", list[dict[str, Any]]) or ()):
        translated = _tool(draft, index, tool)
        if translated is not None and (allowed is None or translated.get("name") in allowed):
            found.append(translated)
    if "web_search_options" in draft.request:
        options = draft.native("web_search_options")
        found.append(_search(draft, "web_search_options", options))
    if not found and called:
        found = [{"name": name, "input_schema": {"type": "object"}} for name in called]
        choice = {"type": "none"}
    if not found:
        return {}
    if draft.asked.parallel_tool_calls is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice = {**choice, "disable_parallel_tool_use": True}
    return {"tools": found, "tool_choice": choice} if choice else {"tools": found}


def is_forced(members: dict[str, Any]) -> bool:
    """Whether a call is insisted on."""
    return bool(members.get("tool_choice", {}).get("type") in ("any", "tool"))


def _choice(draft: Draft) -> tuple[set[str] | None, dict[str, Any]]:
    """Return the tools that may be used (None: all of them), and the choice among them."""
    asked, allowed = draft.asked.tool_choice, None
    choice: dict[str, Any] = {}
    if isinstance(asked, str):
        choice = {"type": _CHOICES[asked]} if asked in _CHOICES else {}
    elif draft.asked.wanted_tool is not None:
        choice = {"type": "tool", "name": draft.asked.wanted_tool}
    elif asked and asked.get("type") == "allowed_tools":
        inner = asked.get("allowed_tools") or asked
        allowed = {(tool.get("function") or tool).get("name") for tool in inner.get("tools") or ()}
        choice = {"type": _CHOICES.get(inner.get("mode", "auto"), "auto")}
    elif asked and asked.get("type") in _OWN_CHOICES:
        choice = dict(asked)
    if asked and not choice:
        draft.drop("tool_choice", "no such choice at this provider")
    if choice.get("type") in ("any", "tool") and not draft.traits.forced_tools:
        draft.drop("tool_choice", "this model cannot be made to call a tool")
        choice = {"type": "auto"}
    return allowed, choice


def _tool(draft: Draft, index: int, tool: dict[str, Any]) -> dict[str, Any] | None:
    """Return one tool; the vendor's own pass as they are."""
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        return _other(draft, f"tools[{index}]", tool)
    schema = function.get("parameters") or {}
    translated: dict[str, Any] = {"name": function.get("name", "")}
    if function.get("description"):
        translated["description"] = function["description"]
    if function.get("strict"):
        schema, strict = _strict(draft, index, schema)
        if strict:
            translated["strict"] = True
    translated["input_schema"] = {"type": "object", **schema}
    cached = tool.get("cache_control") or function.get("cache_control")
    return {**translated, "cache_control": cached} if cached else translated


def _other(draft: Draft, name: str, tool: dict[str, Any]) -> dict[str, Any] | None:
    """Return a tool that is no function: OpenAI's search is the vendor's, other tools are not."""
    kind = tool.get("type")
    if kind in _SEARCHES:
        return _search(draft, name, tool)
    if isinstance(tool.get("custom"), dict):
        draft.drop(name, "tools of free text are not known to this provider")
    elif kind in _OPENAIS:
        draft.drop(name, f"this provider has no tool {kind!r} of OpenAI's")
    else:
        return tool
    return None


def _strict(draft: Draft, index: int, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema that calls are bound to, if the model and the schema allow it."""
    name = f"tools[{index}].function.strict"
    if not draft.traits.schemas or schemas.is_recursive(schema):
        draft.drop(name, "calls cannot be bound to this schema with this model")
        return schema, False
    cleaned, missing = schemas.plain(schema)
    if missing:
        draft.drop(name, f"told but not enforced: {', '.join(missing)}")
    return cleaned, True


def _search(draft: Draft, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the vendor's search for OpenAI's options, which the member `name` has."""
    if options.get("search_context_size") not in (None, "medium"):
        draft.drop(f"{name}.search_context_size", "not known to this provider")
    search: dict[str, Any] = {"type": _SEARCH, "name": "web_search"}
    location = options.get("user_location")
    if isinstance(location, dict):
        place = location.get("approximate") or location
        search["user_location"] = {**place, "type": "approximate"}
    filters = options.get("filters")
    if isinstance(filters, dict) and filters.get("allowed_domains"):
        search["allowed_domains"] = filters["allowed_domains"]
    return search


def account(draft: Draft) -> dict[str, Any]:
    """Return who asks and at which service tier."""
    asked, members = draft.asked, dict[str, Any]()
    given = dict(asked.metadata or {})
    user = given.pop("user_id", None) or draft.request.get("safety_identifier", str) or asked.user
    if given:
        draft.drop("metadata", "this provider takes nothing but a user's id")
    if user and _PERSONAL.search(user):
        draft.drop("user", "this provider refuses addresses and telephone numbers")
    elif user:
        members["metadata"] = {"user_id": user}
    tier = asked.service_tier
    if tier is not None and tier not in _TIERS:
        draft.drop("service_tier", "not known to this provider")
    elif tier is not None:
        members["service_tier"] = _TIERS[tier]
    return members

"""A chat request as Converse's body, and what of it Converse cannot take.

Members under the service's own names (`guardrailConfig`, `additionalModelRequestFields`, …)
are passed on, from the request or else from the provider's options.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
(2026-11-21) and botocore's model of the service, 1.44.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from adapters import _bedrock_models as models
from adapters._bedrock_messages import Conversation, cache_point
from adapters._bedrock_schema import Subset
from proxy.adapter import Dropped, Target
from proxy.chat import ChatRequest, Tool, unsupported
from proxy.wire import Request

NATIVE = (
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
)
"""What a request, or a provider's options, may say in the service's own words."""

SERVICE_TIERS = {"default": "default", "flex": "flex", "priority": "priority"}

_KNOWN = {
    *NATIVE,
    *("frequency_penalty", "logprobs", "max_completion_tokens", "max_tokens", "metadata"),
    *("modalities", "n", "parallel_tool_calls", "presence_penalty", "reasoning_effort"),
    *("response_format", "service_tier", "stop", "temperature", "thinking", "tool_choice"),
    *("tools", "top_k", "top_p"),
}
_REASON = "Converse has no such parameter"
_NEUTRAL = {
    "n": 1,
    "logprobs": False,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "modalities": ["text"],
}
"""What asks for nothing that would not happen anyway."""

_NO_ARGUMENTS = {"type": "object", "properties": {}}
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{1,256}")
_MOST_METADATA = 16
_CHOICES: dict[str, dict[str, Any]] = {"auto": {"auto": {}}, "required": {"any": {}}}


class Body:
    """The body of one request, put together member by member.

    Attributes:
        document: what is sent.
        dropped: what of the client's request is not in it.
    """

    def __init__(self, request: Request, target: Target) -> None:
        """Translate `request`.

        Raises:
            InvalidRequest: it cannot be read, or holds a file the service cannot take.
        """
        self._request = request
        self._chat = chat = request.view(ChatRequest)
        self._model = models.model(target.model)
        self._said = Conversation(chat.messages, target)
        self.dropped = [*self._said.dropped, *unsupported(request, _KNOWN, _REASON)]
        self._drop_unless_neutral()
        native = self._native(target.options)
        self._fields: dict[str, Any] = {}
        self._output: dict[str, Any] = {}
        tools = self._tools()
        self._think(forced=any(name in tools.get("toolChoice", {}) for name in ("any", "tool")))
        if chat.parallel_tool_calls is False:
            self._one_call_at_a_time(tools)
        self._answer_format()
        inference = self._inference()
        fields = self._fields | native.pop("additionalModelRequestFields", {})
        document: dict[str, Any] = {
            "messages": self._said.turns,
            "system": self._said.system,
            "inferenceConfig": inference,
            "toolConfig": tools,
            "outputConfig": self._output,
            "additionalModelRequestFields": fields,
            "requestMetadata": self._metadata(),
            "serviceTier": self._tier(),
        }
        document.update(native)
        self.document = {name: value for name, value in document.items() if value}

    def _drop(self, name: str, reason: str) -> None:
        self.dropped.append(Dropped(name, reason))

    def _drop_unless_neutral(self) -> None:
        for name, neutral in _NEUTRAL.items():
            value = self._request.raw(name)
            if value not in (None, b"null") and msgspec.json.decode(value) != neutral:
                self._drop(name, _REASON)

    def _native(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is said in the service's own words; the request's word is the last."""
        said = {name: options[name] for name in NATIVE if name in options}
        for name in NATIVE:
            kind: Any = list if name.endswith("Paths") else dict
            if (value := self._request.get(name, kind)) is not None:
                both = name == "additionalModelRequestFields"
                said[name] = {**said.get(name, {}), **value} if both else value
        if "guardrailConfig" in said and not self._request.stream:
            guardrail = dict(said["guardrailConfig"])
            guardrail.pop("streamProcessingMode", None)  # a word of ConverseStream alone
            said["guardrailConfig"] = guardrail
        return said

    def _inference(self) -> dict[str, Any]:
        chat, high = self._chat, self._thinks_unbounded()
        inference: dict[str, Any] = {}
        if chat.limit_tokens is not None:
            if high:
                self._drop("max_completion_tokens", "not together with the highest effort")
            else:
                inference["maxTokens"] = chat.limit_tokens
        if (temperature := self._temperature(high)) is not None:
            inference["temperature"] = temperature
        if chat.top_p is not None:
            if high or not self._model.samples:
                self._drop("top_p", "this model does not take it")
            elif self._model.one_sampler and "temperature" in inference:
                self._drop("top_p", "this model does not take it beside temperature")
            else:
                inference["topP"] = chat.top_p
        if stops := [stop for stop in chat.stops if stop]:
            inference["stopSequences"] = stops
        self._top_k()
        return inference

    def _temperature(self, high: bool) -> float | None:
        value = self._chat.temperature
        if value is None:
            return None
        if high or not self._model.samples:
            self._drop("temperature", "this model does not take it")
            return None
        if self._model.family == models.CLAUDE and "thinking" in self._fields and value != 1:
            self._drop("temperature", "a model that thinks takes none but 1")
            return None
        if value > 1:
            self._drop("temperature", "the highest is 1, which is what was sent")
            return 1
        return value

    def _top_k(self) -> None:
        if self._chat.top_k is None:
            return
        field = self._model.top_k(self._chat.top_k)
        if field is None or not self._model.samples or "thinking" in self._fields:
            self._drop("top_k", "this model does not take it")
        else:
            self._fields |= field

    def _thinks_unbounded(self) -> bool:
        config = self._fields.get("reasoningConfig") or {}
        return config.get("maxReasoningEffort") == "high"

    def _think(self, *, forced: bool) -> None:
        """Say how much to think, unless something else in the request forbids it."""
        native = self._request.get("thinking", dict)
        if native is not None:
            self._fields["thinking"] = native
        effort = self._chat.reasoning_effort
        if effort in (None, "none") or native is not None:
            return
        thinking = self._model.thinking(effort, self._chat.limit_tokens)
        if isinstance(thinking, str):
            self._drop("reasoning_effort", thinking)
        elif self._model.family == models.CLAUDE and forced:
            self._drop("reasoning_effort", "not together with a tool that must be called")
        elif self._model.budgeted and self._said.thoughtless:
            self._drop("reasoning_effort", "the thoughts before the last tool calls are lost")
        else:
            self._fields |= thinking.fields
            if thinking.effort:
                self._output["effort"] = thinking.effort

    def _one_call_at_a_time(self, tools: dict[str, Any]) -> None:
        if not tools:
            return
        free = "auto" in tools.get("toolChoice", {"auto": {}})
        if free and self._model.family == models.CLAUDE and self._model.version >= (4, 5):
            self._fields["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        else:
            self._drop("parallel_tool_calls", "this model cannot be told")

    def _answer_format(self) -> None:
        wanted = self._chat.response_format
        if wanted is None or wanted.type == "text":
            return
        schema = wanted.json_schema
        if wanted.type != "json_schema" or schema is None or schema.schema is None:
            self._drop("response_format", "Converse holds answers to a schema or to nothing")
        elif not self._model.schemas:
            self._drop("response_format", "this model cannot be held to a schema")
        else:
            subset = self._subset(schema.schema, "response_format.json_schema.schema")
            described = {"name": schema.name, "description": schema.description}
            definition = {"schema": msgspec.json.encode(subset).decode()}
            definition |= {name: text for name, text in described.items() if text}
            self._output["textFormat"] = {
                "type": "json_schema",
                "structure": {"jsonSchema": definition},
            }

    def _subset(self, schema: dict[str, Any], where: str) -> dict[str, Any]:
        subset = Subset(schema)
        if subset.taken:
            self._drop(where, f"a grammar has no {', '.join(subset.taken)}")
        return subset.schema

    def _tools(self) -> dict[str, Any]:
        """Return `toolConfig`; a conversation with calls in it must not be without."""
        chat, called = self._chat, self._said.called
        if chat.tool_choice == "none" and not called:
            return {}
        tools: list[dict[str, Any]] = []
        for index, tool in enumerate(chat.tools or []):
            tools += self._tool(tool, f"tools[{index}]")
        if not tools:
            return {"tools": [_past(name) for name in called]} if called else {}
        config: dict[str, Any] = {"tools": tools}
        if choice := self._choice():
            config["toolChoice"] = choice
        return config

    def _tool(self, tool: Tool, where: str) -> list[dict[str, Any]]:
        function = tool.function
        if function is None:
            if tool.type.startswith("nova_"):
                return [{"systemTool": {"name": tool.type}}]
            self._drop(where, f"Converse has no tool {tool.type!r}")
            return []
        schema = function.parameters or _NO_ARGUMENTS
        spec: dict[str, Any] = {"name": function.name}
        if function.description:
            spec["description"] = function.description
        if function.strict and self._model.strict_tools:
            spec["strict"] = True
            schema = self._subset(schema, f"{where}.function.parameters")
        elif function.strict:
            self._drop(f"{where}.function.strict", "this model cannot be held to a schema")
        spec["inputSchema"] = {"json": schema}
        return [{"toolSpec": spec}, *cache_point(tool.cache_control)]

    def _choice(self) -> dict[str, Any] | None:
        choice = self._chat.tool_choice
        if choice is None:
            return None
        if name := self._chat.wanted_tool:
            return {"tool": {"name": name}}
        if isinstance(choice, str) and choice in _CHOICES:
            return _CHOICES[choice]
        self._drop("tool_choice", "Converse knows auto, required and one function")
        return None

    def _metadata(self) -> dict[str, str]:
        """Return OpenAI's `metadata` as that which invocation logs are filtered by."""
        taken: dict[str, str] = {}
        for key, value in (self._chat.metadata or {}).items():
            fits = _METADATA.fullmatch(key) and (not value or _METADATA.fullmatch(value))
            if fits and len(taken) < _MOST_METADATA:
                taken[key] = value
            else:
                self._drop(f"metadata.{key}", "it has characters the service does not take")
        return taken

    def _tier(self) -> dict[str, str] | None:
        tier = self._chat.service_tier
        if tier in (None, "auto"):
            return None
        if tier not in SERVICE_TIERS:
            self._drop("service_tier", "Bedrock has default, flex and priority")
            return None
        return {"type": SERVICE_TIERS[tier]}


def _past(name: str) -> dict[str, Any]:
    """Return the tool that only the calls of earlier turns still need."""
    schema = {"json": {"type": "object"}}
    spec = {"name": name, "description": "No longer there: never call it.", "inputSchema": schema}
    return {"toolSpec": spec}

"""Anthropic: Claude by its Messages API.

System and developer messages become `system`, tools, images, documents and thinking become
Claude's own, and what OpenAI has no word for passes as the client sent it. Claude on Vertex AI
and on Bedrock's InvokeModel imports `body`, `betas`, `response` and `Stream` from here.
Counts are of a body without what is the answer's.

Options of the provider:
    version: the `anthropic-version` header; "2023-06-01" by default, the last version that
        takes temperature from the models that know it.
    beta: values of the `anthropic-beta` header, as a list or separated by commas; those that a
        request needs are added.

Source: https://platform.claude.com/docs/en/api/messages,
https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import _anthropic_answer as answers
from adapters import _anthropic_files as files
from adapters import _anthropic_request as asking
from adapters._anthropic_answer import FINISH_REASONS
from adapters._anthropic_messages import Conversation
from adapters._anthropic_models import traits
from adapters._anthropic_stream import Stream
from proxy import counting
from proxy.adapter import (
    Defaults,
    Dropped,
    Headers,
    Operation,
    Passing,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.chat import ChatRequest, completion, unsupported
from proxy.errors import UpstreamBadResponse, UpstreamError
from proxy.framing import SSE
from proxy.wire import Request, Response

__all__ = [
    "FINISH_REASONS",
    "Stream",
    "authorize",
    "betas",
    "body",
    "counted",
    "defaults",
    "error",
    "links",
    "operations",
    "response",
]

defaults = Defaults(
    base_url="https://api.anthropic.com/v1",
    credential_variable="ANTHROPIC_API_KEY",
    base_url_variable="ANTHROPIC_BASE_URL",
    base_path="/v1",
    passing=Passing(links=frozenset({"results_url"})),
)

VERSION = "2023-06-01"
_OAUTH = "sk-ant-oat"
_OAUTH_BETA = "oauth-2025-04-20"
_JSON = ("content-type", "application/json")
_REASON = "not supported by this provider's API"
_LINK = re.compile(rb'http:\\?/|"file"')
_UNCOUNTED = "this provider does not count it"

COUNTED = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"),
        *("cache_control", "context_management", "mcp_servers", "speed"),
    }
)
"""Members of a body that a count takes.

Source: https://platform.claude.com/docs/en/api/messages-count-tokens (2026-11-21)
"""

_MEMBER_BETAS = MappingProxyType(
    {
        "mcp_servers": "mcp-client-2025-11-20",
        "context_management": "context-management-2025-06-27",
        "fallbacks": "server-side-fallback-2026-07-01",
    }
)
_TOOL_BETAS = MappingProxyType(
    {
        "computer_20241022": "computer-use-2024-10-22",
        "computer_20250124": "computer-use-2025-01-24",
        "computer_20251124": "computer-use-2025-11-24",
        "code_execution_20250522": "code-execution-2025-05-22",
        "mcp_toolset": "mcp-client-2025-11-20",
        "advisor_20260301": "advisor-tool-2026-03-01",
    }
)
_FILES_BETA = "files-api-2025-04-14"
_OLD_MCP_BETA = "mcp-client-2025-04-04"


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the header that carries the key, or a token of OAuth."""
    if not target.credential:
        return target.headers
    if target.credential.startswith(_OAUTH):
        return (("authorization", f"Bearer {target.credential}"), *target.headers)
    return (("x-api-key", target.credential), *target.headers)


def request(request: Request, target: Target) -> UpstreamRequest:
    """Build a request for one message.

    Raises:
        InvalidRequest: the client's request is none.
    """
    document, dropped = body(request, target)
    if request.stream:
        document["stream"] = True
    encoded = msgspec.json.encode(document)
    headers = _headers(document, request, target)
    return UpstreamRequest("POST", "/messages", headers, encoded, dropped=dropped)


def _count(request: Request, target: Target) -> UpstreamRequest:
    """Build a request for a count; `request` is one for a chat.

    Raises:
        InvalidRequest: the client's request is none.
    """
    document, dropped = counted(*body(request, target))
    encoded = msgspec.json.encode(document)
    headers = _headers(document, request, target)
    return UpstreamRequest("POST", "/messages/count_tokens", headers, encoded, dropped=dropped)


def _headers(document: Mapping[str, Any], request: Request, target: Target) -> Headers:
    wanted = betas(document, target, _listed(request.get("anthropic_beta", Any)))
    if target.credential.startswith(_OAUTH):
        wanted.append(_OAUTH_BETA)
    headers = dict(authorize(target))
    headers.setdefault("anthropic-version", str(target.options.get("version") or VERSION))
    if configured := headers.get("anthropic-beta"):
        wanted = list(dict.fromkeys([*_listed(configured), *wanted]))
    if wanted:
        headers["anthropic-beta"] = ",".join(wanted)
    return (*headers.items(), _JSON)


def body(
    request: Request, target: Target, *, elsewhere: bool = False
) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the vendor's body without `stream`, and what of the request is not in it.

    Args:
        request: the client's request.
        target: the model, and what was fetched for it.
        elsewhere: another cloud serves the model: later system messages go to the front.

    Raises:
        InvalidRequest: the client's request is none.
    """
    model = traits(target.model)
    conversation = Conversation(request, target, late_system=model.late_system and not elsewhere)
    usual = [name for name in request.names() if asking.is_default(request, name)]
    dropped = unsupported(request, asking.KNOWN.union(usual), _REASON)
    draft = asking.Draft(request, request.view(ChatRequest), target, model, dropped)
    conversation.take(draft.asked.messages)
    dropped += conversation.dropped
    tools = asking.tools(draft, conversation.called())
    thinking = asking.thinking(
        draft,
        forced=asking.is_forced(tools),
        interrupted=conversation.calls_without_thoughts(),
    )
    output, words = asking.output(draft)
    if words is not None:
        conversation.system.append({"type": "text", "text": words})
    document: dict[str, Any] = {
        "model": target.model,
        "max_tokens": draft.max_tokens,
        "messages": conversation.messages,
        **({"system": conversation.system} if conversation.system else {}),
        **tools,
        **thinking,
        **output,
        **asking.sampling(draft, _thinks(thinking)),
        **asking.account(draft),
    }
    for name in sorted(asking.NATIVE.intersection(request.names()) - document.keys()):
        value = request.raw(name) or b"null"
        if value != b"null":
            document[name] = msgspec.Raw(value)
    return document, dropped


def counted(
    document: Mapping[str, Any], dropped: Sequence[Dropped]
) -> tuple[dict[str, Any], list[Dropped]]:
    """Return what of a body is counted; the rest is the answer's, or has no count."""
    lost = [Dropped(name, _UNCOUNTED) for name in ("container",) if name in document]
    return {name: document[name] for name in document if name in COUNTED}, [*dropped, *lost]


def _thinks(members: Mapping[str, Any]) -> bool:
    return members.get("thinking", {}).get("type") in ("enabled", "adaptive")


def betas(document: Mapping[str, Any], target: Target, asked: Iterable[str] = ()) -> list[str]:
    """Return the betas that a body needs, with those of the configuration and the client."""
    found = [*_listed(target.options.get("beta")), *asked]
    found += [beta for name, beta in _MEMBER_BETAS.items() if name in document]
    for tool in document.get("tools", ()):
        beta = _TOOL_BETAS.get(tool.get("type", ""))
        if beta is not None:
            found.append(beta)
    if b'"tool_configuration"' in bytes(document.get("mcp_servers", b"")):
        found = [_OLD_MCP_BETA if b.startswith("mcp-client") else b for b in found]
    if any(_is_file(block) for turn in document["messages"] for block in turn["content"]):
        found.append(_FILES_BETA)
    return list(dict.fromkeys(found))


def _is_file(block: Mapping[str, Any]) -> bool:
    if block.get("type") == "container_upload":
        return True
    source = block.get("source")
    return isinstance(source, dict) and source.get("type") == "file"


def _listed(value: Any) -> list[str]:
    """Read a list of names, or names separated by commas."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return [str(name) for name in value or ()]


def links(request: Request) -> list[str]:
    """Return the URLs of all images and documents in a request."""
    found = []
    for message in request.view(ChatRequest).messages:
        for part in message.parts:
            if part.image_url is not None:
                found.append(part.image_url.url)
            elif part.file is not None:
                found.append(part.file.file_data or part.file.file_id or "")
    return [url for url in found if files.is_url(url)]


def _unfetched(request: Request) -> list[str]:
    """Return those that the vendor does not fetch itself: it wants TLS, and texts inside."""
    if _LINK.search(request.body) is None:
        return []
    texts = {
        part.file.file_data
        for message in request.view(ChatRequest).messages
        for part in message.parts
        if part.file is not None and files.is_text(part.file)
    }
    return [url for url in links(request) if url.startswith("http://") or url in texts]


# Vendor to OpenAI

_ANSWER = msgspec.json.Decoder(answers.Answer)


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it is none.
        UpstreamError: it is an error in a 200.
    """
    try:
        answer = _ANSWER.decode(response.body)
        if answer.error is not None:
            raise answers.failed(None, answer.error)
        if answer.content is None and answer.id is None:
            raise UpstreamBadResponse("the provider's answer holds no message")
        reply = answers.reply(answer)
    except answers.MALFORMED:
        raise UpstreamBadResponse("the provider sent an answer that cannot be read") from None
    usage = answer.usage.normal() if answer.usage else None
    return completion(answer.id or "", answer.model or "", created, [reply], usage)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"type": "error", "error": {"type": …, "message": …}}`."""
    try:
        said = _ANSWER.decode(response.body).error
    except answers.MALFORMED:
        said = None  # a page of HTML, most often: the status says all there is
    if said is None:
        said = answers.ErrorBody(message=f"the provider answered with status {response.status}")
    return answers.failed(response.status, said, response.headers)


_CHAT = Operation(request, response, Stream, SSE, media=_unfetched)

operations = {
    "chat": _CHAT,
    "input_tokens": counting.operation(_count, ("input_tokens",), _CHAT),
}

"""Copilot of GitHub: what its requests carry, and the short-lived token they need.

A GitHub token is exchanged for a token of Copilot's, which lasts half an hour and is good at
the address that comes with it alone: another answers 421. Times come as seconds from now, or
are reckoned from the answer's own `date`, so this machine's clock may be wrong.

States of a token: none → good → due (somebody asks, the others still use it) → expired. One
exchange at a time; whoever waited for one that failed gets its failure.

Sources: https://github.com/microsoft/vscode-copilot-chat
(src/platform/authentication/node/copilotTokenManager.ts) and https://github.com/BerriAI/litellm
(litellm/llms/github_copilot), both of 2026-11-21.
"""

from __future__ import annotations

import asyncio
import re
from email.utils import parsedate_to_datetime

import msgspec

from adapters._openai_wire import UNREADABLE
from proxy.adapter import Headers, Send, UpstreamRequest, UpstreamResponse, header
from proxy.errors import UpstreamAuth, UpstreamError

BASE_URL = "https://api.githubcopilot.com"
OWN = re.compile(r"https://([a-z0-9-]+\.)*githubcopilot\.com(/|$)")
"""Addresses among which the token decides; any other is the operator's choice."""

PATH = "/copilot_internal/v2/token"
AGAIN_S = 5.0
"""How soon after a failure the next exchange may be, in seconds."""

_VERSION = ("x-github-api-version", "2025-05-01")
_COPILOTS = re.compile(r"(^|;)(tid|exp)=")
_SEES = (b'"image_url"', b'"input_image"')
_BEFORE_EXPIRY_S = 60.0
_SHORTEST_S = 30.0
_UNKNOWN_S = 300.0
_REASON = re.compile(r"[a-z_]{1,40}")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The option `copilot`; `true` is all of its defaults.

    Attributes:
        exchange: whether a GitHub token is exchanged; else the credential is sent as it is.
        api_url: GitHub's API; another one for its enterprise's installations.
    """

    exchange: bool = True
    api_url: str = "https://api.github.com"
    integration_id: str = "vscode-chat"
    editor_version: str = "vscode/1.104.0"
    plugin_version: str = "copilot-chat/0.31.0"
    user_agent: str = "GitHubCopilotChat/0.31.0"
    intent: str = "conversation-panel"

    @property
    def editor(self) -> Headers:
        """What names the client to GitHub and to Copilot alike."""
        return (
            ("editor-version", self.editor_version),
            ("editor-plugin-version", self.plugin_version),
            ("user-agent", self.user_agent),
            _VERSION,
        )


def settings(option: object) -> Settings | None:
    """Read the option; None where it is not wanted.

    Raises:
        ValueError: it is wrong; the message is for the user.
    """
    if option in (None, False):
        return None
    try:
        found = msgspec.convert({} if option is True else option, Settings)
    except msgspec.ValidationError as error:
        raise ValueError(f"options.copilot: {error}") from None
    if not found.api_url.startswith(("https://", "http://")):
        raise ValueError("options.copilot.api_url must be a URL")
    return found


def headers(chosen: Settings, body: bytes) -> Headers:
    """Return what a request of Copilot carries beside its token; one with images says so."""
    sees = any(word in body for word in _SEES)
    return (
        ("copilot-integration-id", chosen.integration_id),
        ("openai-intent", chosen.intent),
        *chosen.editor,
        *((("copilot-vision-request", "true"),) if sees else ()),
    )


class _Endpoints(msgspec.Struct):
    api: str = ""


class _Grant(msgspec.Struct):
    token: str
    refresh_in: float | None = None
    expires_at: float | None = None
    endpoints: _Endpoints | None = None


class _Details(msgspec.Struct):
    notification_id: str = ""


class _Refusal(msgspec.Struct):
    error_details: _Details | None = None


_GRANT = msgspec.json.Decoder(_Grant)
_REFUSAL = msgspec.json.Decoder(_Refusal)


class Tokens:
    """Keeps the token that one GitHub token was exchanged for."""

    signs_body = False

    def __init__(self, chosen: Settings, credential: str, send: Send) -> None:
        """Ask for nothing yet."""
        asked = (("authorization", f"token {credential}"), ("accept", "application/json"))
        self._request = UpstreamRequest(
            "GET", PATH, (*asked, *chosen.editor), base_url=chosen.api_url.rstrip("/")
        )
        self._send = send
        self.base_url = ""
        self._token = ""
        self._endpoint = ""
        self._renew_at = 0.0
        self._good_until = 0.0
        self._failure = ""
        self._exchanges = 0
        self._lock = asyncio.Lock()

    async def headers(self, request: UpstreamRequest, url: str) -> Headers:
        """Return the bearer header, and know from now on where it is good.

        Raises:
            UpstreamAuth: GitHub gives no token.
        """
        now = _now()
        if now >= self._renew_at and not (self._lock.locked() and now < self._good_until):
            await self._renew()
        if _now() >= self._good_until:
            raise UpstreamAuth(self._failure)
        self.base_url = self._endpoint if OWN.match(url) else ""
        return (("authorization", f"Bearer {self._token}"),)

    async def _renew(self) -> None:
        """Exchange anew, unless somebody does so already: then wait for that."""
        before = self._exchanges
        async with self._lock:
            if self._exchanges == before:
                await self._exchange()
                self._exchanges += 1

    async def _exchange(self) -> None:
        """Ask once; after a failure the old token is used while it lasts."""
        try:
            answer = await self._send(self._request)
        except UpstreamError as error:
            self._failed(error.code)
            return
        try:
            grant = _GRANT.decode(answer.body)
        except UNREADABLE:
            grant = None
        if answer.status != 200 or grant is None or not grant.token:
            self._failed(_why(answer))
            return
        after_s = _renewed_after_s(grant, answer)
        self._token = grant.token
        self._endpoint = self._trusted(grant.endpoints.api if grant.endpoints else "")
        self._renew_at = _now() + after_s
        self._good_until = self._renew_at + _BEFORE_EXPIRY_S

    def _failed(self, why: str) -> None:
        self._failure = f"GitHub gives no token of Copilot ({why})"
        self._renew_at = _now() + AGAIN_S

    def _trusted(self, endpoint: str) -> str:
        """Return an endpoint that a token may be sent to: not without TLS if GitHub has it."""
        plain = self._request.base_url.startswith("http://") and endpoint.startswith("http://")
        return endpoint.rstrip("/") if plain or endpoint.startswith("https://") else ""


def tokens(option: object, credential: str, send: Send) -> Tokens | None:
    """Return what exchanges `credential`; None where it is sent as it is.

    Raises:
        ValueError: the option is wrong.
    """
    chosen = settings(option)
    if chosen is None or not chosen.exchange or not credential or _COPILOTS.search(credential):
        return None
    return Tokens(chosen, credential, send)


def _why(answer: UpstreamResponse) -> str:
    """Say why there is no token; GitHub's own words may name the account, its codes do not."""
    try:
        details = _REFUSAL.decode(answer.body).error_details
    except UNREADABLE:
        details = None
    code = details.notification_id if details else ""
    return f"status {answer.status}" + (f", {code}" if _REASON.fullmatch(code) else "")


def _renewed_after_s(grant: _Grant, answer: UpstreamResponse) -> float:
    """Return in how many seconds the next token is due; the old one lasts a minute longer."""
    after_s = grant.refresh_in
    if after_s is None and grant.expires_at is not None:
        try:
            said_at = parsedate_to_datetime(header(answer.headers, "date") or "").timestamp()
            after_s = grant.expires_at - said_at - _BEFORE_EXPIRY_S
        except ValueError:
            after_s = None
    return max(_SHORTEST_S, _UNKNOWN_S if after_s is None else after_s)


def _now() -> float:
    return asyncio.get_running_loop().time()

"""Copilot's short-lived tokens, against a GitHub that is a function."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from adapters import _copilot as copilot
from adapters import github
from proxy.adapter import Headers, UpstreamRequest, UpstreamResponse
from proxy.errors import UpstreamAuth, UpstreamUnreachable

OWN = "https://api.githubcopilot.com/chat/completions"
CHAT = UpstreamRequest("POST", "/chat/completions", (), b"{}")
BUSINESS = "https://api.business.githubcopilot.com"
GRANT = {"token": "tid=1", "refresh_in": 1500, "expires_at": 1_800_000_000}


class GitHub:
    """Answers exchanges with what `answers` holds, the last of it again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[UpstreamRequest] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request: UpstreamRequest) -> UpstreamResponse:
        """Take one exchange, once the gate is open."""
        self.asked.append(request)
        await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def granted(headers: Headers = (), **more: Any) -> UpstreamResponse:
    """Return an answer with a token."""
    return UpstreamResponse(200, headers, json.dumps({**GRANT, **more}).encode())


def refused(status: int, body: Any) -> UpstreamResponse:
    """Return an answer without one."""
    return UpstreamResponse(status, (), json.dumps(body).encode())


class Clock:
    """The loop's time, as a test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still unless the test moves it."""
    made = Clock()
    monkeypatch.setattr(copilot, "_now", made)
    return made


def tokens(vendor: GitHub, option: object = True) -> copilot.Tokens:
    """Return what exchanges the token of the tests."""
    made = github.authorizer({"copilot": option}, "gho_of-the-tests", vendor)
    assert isinstance(made, copilot.Tokens)
    return made


async def token(made: copilot.Tokens, url: str = OWN) -> str:
    """Return the token of a request's headers."""
    ((name, value),) = await made.headers(CHAT, url)
    assert name == "authorization"
    return value.removeprefix("Bearer ")


async def test_a_github_token_is_exchanged_as_an_editor_does_it() -> None:
    """With the headers that name the editor; the address is GitHub's API."""
    vendor = GitHub(granted())
    assert await token(tokens(vendor)) == "tid=1"

    (asked,) = vendor.asked
    headers = dict(asked.headers)
    assert (asked.method, asked.base_url, asked.path) == (
        "GET",
        "https://api.github.com",
        "/copilot_internal/v2/token",
    )
    assert headers["authorization"] == "token gho_of-the-tests"
    assert headers["accept"] == "application/json"
    assert headers["editor-version"].startswith("vscode/")
    assert headers["editor-plugin-version"].startswith("copilot-chat/")
    assert headers["user-agent"].startswith("GitHubCopilotChat/")
    assert headers["x-github-api-version"] == "2025-05-01"


async def test_an_enterprise_has_its_own_api_and_editor() -> None:
    """By options."""
    option = {"api_url": "https://api.acme.ghe.com/", "editor_version": "ours/1"}
    vendor = GitHub(granted())
    await token(tokens(vendor, option))

    assert vendor.asked[0].base_url == "https://api.acme.ghe.com"
    assert dict(vendor.asked[0].headers)["editor-version"] == "ours/1"


async def test_all_who_need_a_token_wait_for_one_exchange() -> None:
    """A hundred requests at the start ask GitHub once."""
    vendor = GitHub(granted())
    vendor.gate.clear()
    made = tokens(vendor)
    waiting = [asyncio.ensure_future(token(made)) for _ in range(100)]
    await asyncio.sleep(0)
    vendor.gate.set()

    assert set(await asyncio.gather(*waiting)) == {"tid=1"}
    assert len(vendor.asked) == 1


async def test_one_who_leaves_does_not_take_the_others_along() -> None:
    """The next of those who wait asks in its place."""
    vendor = GitHub(granted())
    vendor.gate.clear()
    made = tokens(vendor)
    first, second = (asyncio.ensure_future(token(made)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    vendor.gate.set()

    assert await second == "tid=1"
    assert first.cancelled()
    assert len(vendor.asked) == 2


async def test_a_token_is_used_until_github_says_it_is_due(clock: Clock) -> None:
    """Then the next is asked for, before the old one expires."""
    vendor = GitHub(granted(), granted(token="tid=2"))
    made = tokens(vendor)
    assert await token(made) == "tid=1"
    clock.now += 1499
    assert await token(made) == "tid=1"
    clock.now += 1
    assert await token(made) == "tid=2"
    assert len(vendor.asked) == 2


async def test_while_the_next_is_asked_for_the_old_one_serves(clock: Clock) -> None:
    """One request waits, the others do not."""
    vendor = GitHub(granted(), granted(token="tid=2"))
    made = tokens(vendor)
    await token(made)
    clock.now += 1500
    vendor.gate.clear()
    renewing = asyncio.ensure_future(token(made))
    await asyncio.sleep(0)

    assert await token(made) == "tid=1"
    vendor.gate.set()
    assert await renewing == "tid=2"


async def test_a_renewal_that_fails_costs_nothing_while_the_old_token_lasts(clock: Clock) -> None:
    """After that it is an error; GitHub is asked every few seconds, not for each request."""
    vendor = GitHub(granted(), refused(503, {}))
    made = tokens(vendor)
    await token(made)
    clock.now += 1500
    assert [await token(made) for _ in range(3)] == ["tid=1"] * 3
    assert len(vendor.asked) == 2
    clock.now += 60
    for _ in range(3):
        with pytest.raises(UpstreamAuth, match="status 503"):
            await token(made)
    assert len(vendor.asked) == 3


async def test_without_refresh_in_the_answers_own_date_counts(clock: Clock) -> None:
    """This machine's clock may be an hour off."""
    dated = (("date", "Fri, 15 Jan 2027 07:30:00 GMT"),)  # half an hour before it expires
    vendor = GitHub(granted(dated, refresh_in=None), granted(token="tid=2"))
    made = tokens(vendor)
    await token(made)
    clock.now += 1739
    assert await token(made) == "tid=1"
    clock.now += 1
    assert await token(made) == "tid=2"


@pytest.mark.parametrize(
    "answer",
    [
        granted(refresh_in=None, expires_at=None),
        granted((("date", "yesterday"),), refresh_in=None),
        granted(refresh_in=-5),
    ],
)
async def test_a_token_without_a_time_is_kept_for_a_while(
    clock: Clock, answer: UpstreamResponse
) -> None:
    """GitHub is not asked for each request."""
    vendor = GitHub(answer)
    made = tokens(vendor)
    for _ in range(3):
        assert await token(made) == "tid=1"
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(401, {"message": "Bad credentials"}), "(status 401)"),
        (
            refused(
                403,
                {"error_details": {"notification_id": "not_signed_up", "message": "Hi octocat"}},
            ),
            "(status 403, not_signed_up)",
        ),
        (refused(403, {"error_details": {"notification_id": "<b>octocat"}}), "(status 403)"),
        (refused(200, {"token": ""}), "(status 200)"),
        (UpstreamResponse(502, (), b"<html>"), "(status 502)"),
        (UpstreamUnreachable("cannot connect to api.github.com:443"), "(upstream_unreachable)"),
    ],
)
async def test_no_token_is_our_credentials_fault(answer: Any, words: str) -> None:
    """Whoever waited gets the same words, in which is neither a secret nor an account."""
    vendor = GitHub(answer)
    made = tokens(vendor)
    found = await asyncio.gather(*(token(made) for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in found] == [UpstreamAuth] * 3
    assert {str(each) for each in found} == {f"GitHub gives no token of Copilot {words}"}
    assert len(vendor.asked) == 1


async def test_a_token_goes_to_the_address_it_is_good_at() -> None:
    """Business seats are answered 421 elsewhere; an address of the operator's own is kept."""
    made = tokens(GitHub(granted(endpoints={"api": f"{BUSINESS}/", "proxy": "https://p"})))
    await token(made)
    assert made.base_url == BUSINESS
    await token(made, "https://copilot.acme.example/chat/completions")
    assert made.base_url == ""


@pytest.mark.parametrize("endpoints", [None, {}, {"api": "http://insecure"}, {"api": "ftp://x"}])
async def test_an_address_without_tls_is_not_followed(
    endpoints: Mapping[str, str] | None,
) -> None:
    """The token stays where the provider is."""
    made = tokens(GitHub(granted(endpoints=endpoints)))
    await token(made)
    assert made.base_url == ""


@pytest.mark.parametrize(
    ("option", "credential"),
    [
        (None, "gho_x"),
        (False, "gho_x"),
        ({"exchange": False}, "gho_x"),
        (True, ""),
        (True, "tid=1;exp=1800000000;sku=free:mac"),
    ],
)
def test_what_needs_no_exchange_is_sent_as_it_is(option: object, credential: str) -> None:
    """GitHub Models, Copilot's own tokens, and where the operator says so."""
    assert github.authorizer({"copilot": option}, credential, GitHub()) is None


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"editor": "x"}, "unknown field"),
        ({"intent": 5}, "intent"),
        ("yes", "copilot"),
        ({"api_url": "api.github.com"}, "api_url must be a URL"),
    ],
)
def test_a_wrong_option_is_told(option: object, words: str) -> None:
    """When the configuration is read."""
    with pytest.raises(ValueError, match=words):
        github.authorizer({"copilot": option}, "gho_x", GitHub())

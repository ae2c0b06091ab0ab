"""Signing for AWS with botocore's credentials; imported only by who has to sign.

Finding and renewing credentials reads files and asks other services, so it is done in a
thread. One request at a time waits for it; while the old credentials are still good the
others go on with them.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html (2026-11-21)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from proxy.adapter import Headers, UpstreamRequest
from proxy.errors import UpstreamAuth

_REGION = re.compile(
    r"//[^/]*\.([a-z]{2,4}(?:-[a-z]+)+-\d)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)"
)
_SESSION_NAME = "headgate"
_OPTIONS = {"region", "profile", "role_arn", "session_name", "external_id"}
_ADDED = ("authorization", "x-amz-date", "x-amz-security-token")


class SigV4:
    """Signs the requests of one provider."""

    signs_body = True
    base_url = ""

    def __init__(self, service: str, options: Mapping[str, Any]) -> None:
        """Read the options named in `_OPTIONS`; others are somebody else's.

        Raises:
            ValueError: one is no text, or there is no such profile; for the user.
        """
        for name in sorted(_OPTIONS & options.keys()):
            if not isinstance(options[name], str):
                raise ValueError(f"options.{name} must be a text")
        self._service = service
        self._options = options
        self._session = Session(profile=options.get("profile"))
        profile = options.get("profile")
        if profile and profile not in self._session.available_profiles:
            raise ValueError(f"options.profile: there is no AWS profile {profile!r}")
        self._source: Credentials | None = None
        self._frozen: ReadOnlyCredentials | None = None
        self._renewing = asyncio.Lock()

    async def headers(self, request: UpstreamRequest, url: str) -> Headers:
        """Return the headers that sign `request` at `url`.

        Raises:
            UpstreamAuth: no credentials can be had.
        """
        credentials = await self._current(url)
        region = self._region(url)
        if region is None:
            raise UpstreamAuth("no AWS region is configured for the provider")
        signed = AWSRequest(
            method=request.method,
            url=url,
            data=request.body,
            headers={n: v for n, v in request.headers if n == "content-type"},
        )
        SigV4Auth(credentials, self._service, region).add_auth(signed)
        return [(name, signed.headers[name]) for name in _ADDED if name in signed.headers]

    async def _current(self, url: str) -> ReadOnlyCredentials:
        """Return credentials that are still good, renewed in time."""
        frozen = self._frozen
        if frozen is not None and not self._expires(None):
            return frozen
        if frozen is not None and self._renewing.locked() and not self._expires(0):
            return frozen
        async with self._renewing:
            if self._frozen is None or self._expires(None):
                self._frozen = await asyncio.to_thread(self._renew, url)
            return self._frozen

    def _expires(self, within_s: int | None) -> bool:
        """Whether they are to be renewed: botocore's own margin, or `within_s` seconds."""
        refresh_needed = getattr(self._source, "refresh_needed", None)
        return refresh_needed is not None and bool(refresh_needed(within_s))

    def _renew(self, url: str) -> ReadOnlyCredentials:
        try:
            if self._source is None:
                self._source = self._find(url)
            return self._source.get_frozen_credentials()
        except (
            BotoCoreError,
            ClientError,
            RuntimeError,
        ) as error:  # the last: renewed, yet expired
            # The words may name our account: the client gets none of them, the log does.
            raise UpstreamAuth("the gateway has no valid AWS credentials") from error

    def _find(self, url: str) -> Credentials:
        found: Credentials | None = self._session.get_credentials()
        if found is None:
            raise UpstreamAuth("the gateway has no AWS credentials")
        role = self._options.get("role_arn")
        if role is None:
            return found
        named = {
            "RoleSessionName": self._options.get("session_name") or _SESSION_NAME,
            "ExternalId": self._options.get("external_id"),
        }
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(self._session.create_client, region_name=self._region(url)),
            source_credentials=found,
            role_arn=role,
            extra_args={name: value for name, value in named.items() if value},
        )
        return DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )

    def _region(self, url: str) -> str | None:
        """Return the region of `url`, else the option's, else the session's."""
        if (found := _REGION.search(url)) is not None:
            return found[1]
        region: str | None = self._options.get("region")
        return region or self._session.get_config_variable("region")

"""TLS settings; what they do on the wire is in `test_dialing`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import cast

import pytest
import trustme

from proxy import tls
from proxy.tls import ResumingContext, default_context, tls_context


def test_remembered_sessions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number cannot grow with the names of servers."""
    monkeypatch.setattr(tls, "_SESSIONS", 3)
    context = ResumingContext()
    for number in range(10):
        context.remember(f"host-{number}", cast(ssl.SSLSession, number))
        assert len(context._sessions) <= 3


def test_authorities_come_from_the_system_or_a_file(tmp_path: Path) -> None:
    """A file replaces the system's; certifi only stands in where there are none."""
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    assert tls_context(str(path)).cert_store_stats()["x509_ca"] == 1
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    assert tls_context().check_hostname


def test_certifi_stands_in_where_the_system_has_no_authorities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slim container still verifies."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    pytest.importorskip("certifi")
    assert tls_context().cert_store_stats()["x509_ca"] > 10


def test_the_systems_authorities_are_loaded_once() -> None:
    """Providers share them, and the memory they take."""
    assert default_context() is default_context()

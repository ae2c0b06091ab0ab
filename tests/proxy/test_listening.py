"""Listening sockets: had at once, or refused in one line."""

from __future__ import annotations

import errno
import socket

import pytest

from proxy import listening
from proxy.listening import CannotListen, reserve


def test_a_free_port_is_found() -> None:
    """Port 0 becomes a real one before anybody listens."""
    place = reserve("127.0.0.1", 0)
    assert place.port > 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", place.port))
    (listener,) = place.listen()
    socket.create_connection(("127.0.0.1", place.port)).close()
    assert listener.gettimeout() == 0
    place.close()


def test_several_may_listen_at_a_shared_place() -> None:
    """Each listener is a socket of its own, for a process of its own."""
    place = reserve("127.0.0.1", 0, shared=True)
    first, second = place.listen(), place.listen()
    assert {each.getsockname() for each in first + second} == {("127.0.0.1", place.port)}
    first[0].close()
    socket.create_connection(("127.0.0.1", place.port)).close()
    second[0].close()
    place.close()


def test_where_the_system_does_not_share_out_one_socket_serves_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On macOS the newest of several sockets would get every connection."""
    monkeypatch.setattr(listening, "_SHARES_OUT", False)
    place = reserve("127.0.0.1", 0, shared=True)
    assert place.listen()[0] is place.listen()[0]
    place.close()


@pytest.mark.parametrize("shared", [False, True])
def test_a_taken_port_is_refused_in_one_line(shared: bool) -> None:
    """The line names the address and says what to do."""
    place = reserve("127.0.0.1", 0, shared=True)
    (listener,) = place.listen()
    with pytest.raises(CannotListen) as refused:
        reserve("127.0.0.1", place.port, shared=shared)
    message = str(refused.value)
    assert f"127.0.0.1:{place.port}" in message
    assert "--port" in message
    assert "\n" not in message
    assert refused.value.errno == errno.EADDRINUSE
    listener.close()
    place.close()


@pytest.mark.parametrize(
    "host", ["no such host", "a" * 64 + ".invalid", "256.1.1.1", "..", "192.0.2.1"]
)
def test_a_host_that_is_not_ours_is_refused_in_one_line(host: str) -> None:
    """A name nobody knows, no name at all, and an address of another machine."""
    with pytest.raises(CannotListen, match=r"cannot listen on") as refused:
        reserve(host, 8080)
    assert "\n" not in str(refused.value)


def test_ipv6_is_written_in_brackets() -> None:
    """So that the port can be told from the address."""
    with pytest.raises(CannotListen, match=r"\[2001:db8::1\]:8080"):
        reserve("2001:db8::1", 8080)


def test_a_name_of_both_kinds_listens_on_what_the_machine_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine without IPv6 still serves `localhost`, at one port for all addresses."""

    def both(*_: object, **__: object) -> list[object]:
        here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
        elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
        return [elsewhere, here, here]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    place = reserve("localhost", 0)
    assert [each.getsockname()[0] for each in place.listen()] == ["127.0.0.1"]
    place.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_all_addresses_are_those_of_both_kinds() -> None:
    """`::` alone is heard through IPv4 too, as containers with both expect."""
    try:
        place = reserve("::", 0)
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    place.listen()
    socket.create_connection(("127.0.0.1", place.port)).close()
    socket.create_connection(("::1", place.port)).close()
    place.close()

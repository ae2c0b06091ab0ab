"""Which addresses a stranger's URL may lead to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

import pytest

from proxy.addresses import Guard, NotPublic, is_public, literal

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "100.63.0.1",
          "100.128.0.1", "192.0.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
          "2001:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]  # fmt: skip
PRIVATE = ["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
           "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "172.16.0.1",
           "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
           "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1",
           "239.255.255.255", "240.0.0.1", "255.255.255.255",
           "::", "::1", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
           "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
           "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::",
           "2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
           "fe80::1%eth0", "2606:4700::1111%eth0", "fec0::1", "ff02::1", "4000::1"]  # fmt: skip
SPELLINGS = {
    "127.0.0.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "2852039166": "169.254.169.254",
    "0": "0.0.0.0",
    "[::1]": "::1",
    "::ffff:127.0.0.1": "::ffff:127.0.0.1",
    "[::ffff:7f00:1]": "::ffff:7f00:1",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_what_everybody_reaches_is_public(address: str) -> None:
    """Neighbours of the special networks included."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_what_only_this_place_reaches_is_not(address: str) -> None:
    """In either family, and where one has the other inside."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(("spelling", "address"), SPELLINGS.items())
def test_an_address_is_known_in_every_spelling(spelling: str, address: str) -> None:
    """The system would connect to it all the same."""
    assert literal(spelling) == ipaddress.ip_address(address)
    assert Guard().refuses(spelling)


@pytest.mark.parametrize("name", ["localhost", "example.com", "1.example", "0x7g.1", "ä.example"])
def test_a_name_is_no_address(name: str) -> None:
    """It is judged by what it stands for."""
    assert literal(name) is None
    assert not Guard().refuses(name)


async def test_a_name_gives_its_public_addresses_only() -> None:
    """Of a name that has both, the private ones are as if they were not there."""

    def lookup(host: str) -> Sequence[str]:
        return ["10.0.0.1", "8.8.8.8", "8.8.8.8", "fe80::1%eth0", "2606:4700::1111", "odd"]

    guard = Guard(lookup)
    found = await guard.resolve("both.example", 443)
    assert [(each["host"], each["port"], each["family"]) for each in found] == [
        ("8.8.8.8", 443, socket.AF_INET),
        ("2606:4700::1111", 443, socket.AF_INET6),
    ]
    await guard.close()


async def test_a_name_without_a_public_address_is_refused() -> None:
    """It says so, unlike a name that does not exist."""
    guard = Guard(lambda _: ["127.0.0.1", "::1"])
    with pytest.raises(NotPublic):
        await guard.resolve("localhost", 80)
    await guard.close()


async def test_a_name_that_cannot_be_asked_for_has_no_address() -> None:
    """A label may have at most 63 characters."""

    def lookup(host: str) -> Sequence[str]:
        return host.encode("idna").decode()

    guard = Guard(lookup)
    with pytest.raises(OSError, match="cannot be asked"):
        await guard.resolve("x" * 64, 80)
    await guard.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_no_socket_is_made_to_another_address(address: str) -> None:
    """Whatever let it come so far."""
    with pytest.raises(NotPublic):
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80)))


def test_a_socket_is_made_to_a_public_address() -> None:
    """It is not connected yet."""
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 80))
    with Guard().socket(info) as made:
        assert made.family == socket.AF_INET


async def test_look_ups_do_not_block_the_loop() -> None:
    """Name servers of strangers may be slow on purpose."""
    loop = asyncio.get_running_loop()
    beside = loop.create_future()

    def lookup(host: str) -> Sequence[str]:
        asyncio.run_coroutine_threadsafe(_set(beside), loop).result()
        return ["8.8.8.8"]

    guard = Guard(lookup)
    await guard.resolve("slow.example")
    assert beside.done()
    await guard.close()


async def _set(future: asyncio.Future[None]) -> None:
    future.set_result(None)

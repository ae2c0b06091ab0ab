"""What an authorizer asks for itself."""

from __future__ import annotations

import pytest

from proxy import errands
from proxy.adapter import UpstreamRequest
from proxy.errors import UpstreamBadResponse, UpstreamTimeout, UpstreamUnreachable
from tests.proxy.vendor import Line, Vendor, answer, on_both_loops, upstream


async def refuse(line: Line) -> None:
    """Answer 403."""
    await line.request()
    await line.send(answer(b"no", b"HTTP/1.1 403 Forbidden\r\nx-why: because"))


@on_both_loops
async def test_an_errand_goes_where_it_says_and_brings_any_answer() -> None:
    """The provider's own connections are not used; a refusal is an answer too."""
    async with Vendor(refuse) as here, Vendor(refuse) as there:
        pool = upstream(here.url)
        found = await errands.sender(pool)(
            UpstreamRequest("GET", "/token", (("accept", "x"),), base_url=there.url)
        )
        assert (found.status, found.body) == (403, b"no")
        assert ("x-why", "because") in found.headers
        assert there.requests[0].line == "GET /token HTTP/1.1"
        assert there.requests[0].headers["accept"] == "x"
        assert not here.lines
        await pool.close()
    assert there.open == 0


@on_both_loops
async def test_a_large_answer_is_refused() -> None:
    """A token is small."""

    async def talk(line: Line) -> None:
        await line.request()
        await line.send(answer(b"x" * (errands.MAX_BYTES + 1)))

    async with Vendor(talk) as vendor:
        pool = upstream(vendor.url)
        with pytest.raises(UpstreamBadResponse):
            await errands.sender(pool)(UpstreamRequest("GET", "/", ()))
        await pool.close()


@on_both_loops
async def test_a_silent_vendor_is_not_waited_for_long() -> None:
    """The calls that need the token wait as well."""
    patch = pytest.MonkeyPatch()
    patch.setattr(errands, "LIMIT_S", 0.05)

    async def silence(line: Line) -> None:
        await line.request()
        await line.idle()

    async with Vendor(silence) as vendor:
        pool = upstream(vendor.url)
        with patch.context(), pytest.raises(UpstreamTimeout):
            await errands.sender(pool)(UpstreamRequest("GET", "/", ()))
        await pool.close()
    patch.undo()


@on_both_loops
async def test_what_is_no_address_is_told() -> None:
    """As a vendor that cannot be reached."""
    pool = upstream("http://127.0.0.1:9")
    with pytest.raises(UpstreamUnreachable, match="nowhere"):
        await errands.sender(pool)(UpstreamRequest("GET", "/", (), base_url="nonsense"))
    await pool.close()


@on_both_loops
async def test_all_addresses_of_a_provider_are_closed_together() -> None:
    """And none is opened afterwards."""
    async with Vendor(refuse) as vendor:
        pool = upstream("http://127.0.0.1:9")
        other = pool.at(vendor.url)
        assert pool.at(vendor.url) is other
        assert pool.at("") is pool.at(pool.base_url) is pool
        await errands.sender(pool)(UpstreamRequest("GET", "/", (), base_url=vendor.url))
        await pool.close()
        assert other.open == 0
        with pytest.raises(UpstreamUnreachable, match="closed"):
            await errands.sender(pool)(UpstreamRequest("GET", "/", (), base_url=vendor.url))

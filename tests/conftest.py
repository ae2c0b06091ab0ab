"""The servers that any test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.servers import RedisServer, require


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this test alone, running."""
    require("redis-server")
    with TemporaryDirectory(prefix="hg-") as folder:  # a socket's path must be short
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()

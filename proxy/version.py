"""Which Headgate this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("headgate")
except PackageNotFoundError:
    VERSION = "0"  # run from a tree that was never installed

"""What the numbers were taken on: the machine, the versions, the commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from .servers import NGINX, ROOT
from .wrk import WRK

PACKAGES = ("aiohttp", "httptools", "uvloop", "msgspec", "orjson", "structlog", "prometheus_client")


def describe() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "nginx": _said([NGINX, "-v"]) if NGINX else None,
        "wrk": _said([WRK, "-v"]).splitlines()[0] if WRK else None,
        "commit": commit(),
    }


def commit(root: Path = ROOT) -> str | None:
    """The commit's hash, with a `+` if files differ from it; None outside of a repository."""
    head = _said(["git", "-C", str(root), "rev-parse", "--short=12", "--verify", "HEAD"])
    if not re.fullmatch(r"[0-9a-f]{12,}", head):
        return None
    return head + ("+" if _said(["git", "-C", str(root), "status", "--porcelain"]) else "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _said(command: list[str]) -> str:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (finished.stdout + finished.stderr).strip()

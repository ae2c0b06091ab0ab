"""`wrk` as the load for whole answers, where it is installed: it costs a fifth of a Python client.

The less the load takes of the core it shares with the vendor, the closer the server between them
comes to its limit, where every server is cheapest per request. Source:
https://github.com/wg/wrk/blob/master/SCRIPTING (2024-01-04).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from .load import Measured

WRK = shutil.which("wrk")

REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d %d\\n", summary.duration,
    summary.requests, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def drive(
    url: str,
    headers: dict[str, str],
    body: bytes,
    connections: int,
    *,
    seconds: float,
    warmup_s: float,
    probe: Callable[[], float],
) -> Measured:
    """Loads a server with whole answers; `latencies_s` holds only the 50 % and 99 % quantiles.

    Raises:
        RuntimeError: `wrk` did not come to its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "bench.lua"
        script.write_text(_script(headers, str(Path(folder) / "body")))
        command = [str(WRK), "-t1", f"-c{connections}", "--timeout", "20s", "-s", str(script), url]
        _run([*command, f"-d{max(1, round(warmup_s))}s"])
        before = probe()
        printed = _run([*command, f"-d{max(1, round(seconds))}s"])
        cost = probe() - before
    found = re.search(r"^RESULT ([\d ]+)$", printed, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk printed no result: {printed[-300:]}")
    duration_us, requests, connect, read, write, status, timeout, *quantiles_us = map(
        int, found[1].split()
    )
    counts = {"connect": connect, "read": read, "write": write, "timeout": timeout}
    counts["status"] = status
    errors = {kind: count for kind, count in counts.items() if count}
    latencies_s = [microseconds / 1e6 for microseconds in quantiles_us]
    return Measured(
        duration_us / 1e6, requests - status, 0, errors, latencies_s, [], cost, tool="wrk"
    )


def _script(headers: dict[str, str], body_path: str) -> str:
    lines = [
        'wrk.method = "POST"',
        f'local file = io.open("{body_path}", "rb")',
        'wrk.body = file:read("*a")',
        "file:close()",
        'wrk.headers["content-type"] = "application/json"',
    ]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    return "\n".join(lines) + REPORT


def _run(command: list[str]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"wrk ended with {finished.returncode}: {finished.stderr[-300:]}")
    return finished.stdout

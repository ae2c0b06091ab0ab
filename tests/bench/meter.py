"""What a server costs: CPU time and memory of its whole process tree.

Linux tells through /proc, other systems through `ps`. Both count in steps of 10 ms, so a window
of a second at full load is exact to one part in a hundred.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "stat").exists()
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """What one process has used so far."""

    parent: int
    cpu_s: float
    """User + system, with the children it has buried."""
    rss_bytes: int


def cpu_s(pid: int) -> float:
    """User + system seconds of a process and all its descendants so far."""
    return sum(usage.cpu_s for usage in tree(pid).values())


def rss_bytes(pid: int) -> int:
    """Resident bytes of a process and all its descendants; shared pages count once in each."""
    return sum(usage.rss_bytes for usage in tree(pid).values())


def pss_bytes(pid: int) -> int | None:
    """Resident bytes with shared pages divided among their users; None where nobody tells."""
    total = 0
    for process in tree(pid):
        try:
            rollup = (PROC / str(process) / "smaps_rollup").read_text()
        except OSError:
            return None
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def tree(pid: int) -> dict[int, Usage]:
    """A process and its descendants; empty once it has ended."""
    every = _from_proc() if HAS_PROC else _from_ps()
    family = {pid} & every.keys()
    while more := {p for p, usage in every.items() if usage.parent in family} - family:
        family |= more
    return {p: every[p] for p in family}


def _from_proc() -> dict[int, Usage]:
    """Source: proc(5), /proc/pid/stat, fields 4 (ppid), 14-17 (times), 24 (rss)."""
    every = {}
    for entry in os.listdir(PROC):
        if not entry.isdigit():
            continue
        try:
            stat = (PROC / entry / "stat").read_bytes()
        except OSError:  # it ended while we looked
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()
        ticks = sum(int(field) for field in fields[11:15])
        every[int(entry)] = Usage(int(fields[1]), ticks / TICKS_PER_S, int(fields[21]) * PAGE_BYTES)
    return every


def _from_ps() -> dict[int, Usage]:
    command = ["ps", "-axo", "pid=,ppid=,time=,rss="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    every = {}
    for line in listed.splitlines():
        pid, parent, time, rss_kib = line.split()
        every[int(pid)] = Usage(int(parent), clock_s(time), int(rss_kib) * 1024)
    return every


def clock_s(time: str) -> float:
    """Seconds of `ps`'s clock, `[[dd-]hh:]mm:ss[.cc]`."""
    days, _, clock = time.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total + int(days or 0) * 86400

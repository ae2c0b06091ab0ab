"""Workers that share their numbers through a directory."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from proxy import siblings
from proxy.siblings import Siblings
from proxy.tally import Counter, Numbers


def worker(directory: Path, count: int = 0, depth: float = 0) -> Siblings:
    """Start a worker that has counted `count`; a lock is per opening, not per process."""
    place = Siblings(directory)
    place.join()
    if count:
        place.write(counted(count, depth))
    return place


def counted(count: int, depth: float = 0) -> bytes:
    gauges = {"depth": {(): [depth]}}
    return msgspec.msgpack.encode(Numbers({"seen": {(): Counter(count)}}, {}, gauges))


def total(place: Siblings) -> float:
    return place.read().counters.get("seen", {}).get((), Counter()).value


def test_a_worker_reads_the_others_and_not_itself(tmp_path: Path) -> None:
    """Its own numbers are newer in its memory than in its file."""
    first = worker(tmp_path, 1)
    worker(tmp_path, 10)
    worker(tmp_path, 100)

    assert total(first) == 110


def test_the_newest_numbers_count(tmp_path: Path) -> None:
    """A file is replaced, not added to."""
    first, second = worker(tmp_path), worker(tmp_path, 1)
    second.write(counted(5))

    assert total(first) == 5


def test_an_ended_worker_keeps_its_counters_and_loses_its_gauges(tmp_path: Path) -> None:
    """What was counted has happened; what was waiting there waits no more."""
    first, second = worker(tmp_path), worker(tmp_path, 7, depth=3)
    assert first.read().gauges == {"depth": {(): [3.0]}}

    second.leave()

    for _ in range(3):
        assert total(first) == 7
        assert first.read().gauges.get("depth", {}) == {}
    assert not list(tmp_path.glob(f"{second._name}.*"))


def test_many_ended_workers_leave_one_file(tmp_path: Path) -> None:
    """A worker that crashes at every start does not fill the directory."""
    first = worker(tmp_path)
    for _ in range(20):
        worker(tmp_path, 1).leave()
        total(first)

    assert total(first) == 20
    assert len(list(tmp_path.iterdir())) == 3  # our lock, the past, the lock of the past


def test_a_worker_that_was_folded_is_not_counted_twice(tmp_path: Path) -> None:
    """The process may be killed between writing the past and deleting the file."""
    first, second = worker(tmp_path), worker(tmp_path, 7)
    file = second._path("numbers")
    content = file.read_bytes()
    second.leave()
    assert total(first) == 7

    file.write_bytes(content)

    assert total(first) == 7


def test_all_workers_see_the_same_past(tmp_path: Path) -> None:
    """Whoever folds an ended worker does it for all."""
    first, second, third = worker(tmp_path), worker(tmp_path), worker(tmp_path, 7)
    third.leave()

    assert [total(first), total(second), total(first)] == [7, 7, 7]


def test_an_unreadable_file_is_told_and_left_out(tmp_path: Path) -> None:
    """One broken file does not hide the other workers."""
    first = worker(tmp_path)
    worker(tmp_path, 2)
    (tmp_path / "9-broken.numbers").write_bytes(b"\xc1")

    with capture_logs() as logged:
        assert total(first) == 2
    assert logged[0]["file"] == "9-broken.numbers"


def test_only_so_many_names_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of ended workers does not grow for ever, and their counts stay."""
    monkeypatch.setattr(siblings, "_REMEMBERED", 2)
    first = worker(tmp_path)
    for _ in range(5):
        worker(tmp_path, 1).leave()
        total(first)

    past = msgspec.msgpack.decode((tmp_path / "past").read_bytes())
    assert len(past["folded"]) == 2
    assert total(first) == 5


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The operator learns it at the start, not from missing numbers."""
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        Siblings(tmp_path / "file" / "metrics").join()

"""A run whose process died, at whatever moment, is closed by the next one with everything that it had measured."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.columns import CLIENT_HEALTH, SERVER_METRICS
from schemas.errors import EndpointBusyError
from tests.traces import LEVEL, begin, frame, health, of_version_1, row, scrape, write_part
from warehouse import landing, manifests, recovery, runs
from warehouse.home import Home, endpoint_lock


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def before_anything(folder: runs.RunFolder) -> int:
    return 0


def with_a_part_waiting(folder: runs.RunFolder) -> int:
    write_part(folder, row(0), row(1))
    return 2


def with_a_part_moved_but_not_noted(folder: runs.RunFolder) -> int:
    identity = {"run_id": "r", "attempt": 1, "endpoint": "e", "run_date": "2026-11-20", "level_index": 1}
    landing.land_part(folder.home, write_part(folder, row(0), row(1)), identity)
    return 2


def after_a_level(folder: runs.RunFolder) -> int:
    write_part(folder, row(0), row(1))
    folder.land_level(LEVEL)
    return 2


def in_the_second_level(folder: runs.RunFolder) -> int:
    after_a_level(folder)
    write_part(folder, row(0, level_index=2, concurrency=2), level=2)
    return 3


@pytest.mark.parametrize(
    "died", [before_anything, with_a_part_waiting, with_a_part_moved_but_not_noted, after_a_level, in_the_second_level]
)
def test_what_was_measured_before_the_death_is_kept_and_marked(
    home: Home, died: Callable[[runs.RunFolder], int]
) -> None:
    rows = died(begin(home))
    [line] = recovery.recover(home)
    assert "closed r (attempt 1)" in line
    [manifest] = manifests.read_all(home)
    assert manifest.run["status"] == "interrupted"
    assert sum(part["rows"] for part in manifest.parts) == rows
    assert list(manifests.check_parts(home, manifest)) == []
    assert recovery.recover(home) == []


def test_a_level_that_was_done_stays_complete_beside_the_one_cut_short(home: Home) -> None:
    in_the_second_level(begin(home))
    recovery.recover(home)
    [manifest] = manifests.read_all(home)
    assert [(level["concurrency"], level["status"]) for level in manifest.levels] == [
        (1, "complete"),
        (2, "interrupted"),
    ]


def test_a_run_that_died_after_its_manifest_stays_as_it_was_closed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begin(home)
    after_a_level(folder)
    with monkeypatch.context() as patch:
        patch.setattr(runs.RunFolder, "remove", lambda _: None)
        folder.close("complete", None)
    assert "cleared away" in recovery.recover(home)[0]
    assert [manifest.run["status"] for manifest in manifests.read_all(home)] == ["complete"]
    assert not list(home.incoming.iterdir())


def test_half_a_removed_folder_is_removed(home: Home) -> None:
    home.prepare()
    (home.incoming / f"{runs.CLOSED}r-a1").mkdir()
    (home.incoming / f"{runs.CLOSED}r-a1" / "plan.json").write_text("{}")
    assert recovery.recover(home) == []
    assert not list(home.incoming.iterdir())


def test_a_run_that_is_alive_is_left_alone(home: Home) -> None:
    with_a_part_waiting(begin(home))
    with endpoint_lock(home, "e", "r"):
        assert recovery.recover(home) == []
    assert len(recovery.recover(home)) == 1


def test_the_next_attempt_counts_on(home: Home) -> None:
    assert runs.next_attempt(home, "r", "2026-11-20") == 1
    begin(home)
    assert runs.next_attempt(home, "r", "2026-11-20") == 2
    recovery.recover(home)
    assert runs.next_attempt(home, "r", "2026-11-20") == 2


def test_two_loads_never_reach_one_endpoint(home: Home) -> None:
    with endpoint_lock(home, "e", "first run"):
        with (
            pytest.raises(EndpointBusyError, match=f"first run, process {os.getpid()}"),
            endpoint_lock(home, "e", "second"),
        ):
            pass
        with endpoint_lock(home, "another", "second"):
            pass


def test_the_kernel_frees_the_lock_of_a_killed_process(home: Home) -> None:
    home.prepare()
    code = "import sys, time; from pathlib import Path; from warehouse.home import Home, endpoint_lock\n" \
        "with endpoint_lock(Home(Path(sys.argv[1])), 'e', 'doomed'): print('held', flush=True); time.sleep(60)"  # fmt: skip
    child = subprocess.Popen([sys.executable, "-c", code, str(home.root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(EndpointBusyError, match="doomed"), endpoint_lock(home, "e", "next"):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with endpoint_lock(home, "e", "next"):
        assert json.loads((home.locks / "e.lock").read_text())["run"] == "next"


def test_health_and_metrics_of_the_level_that_was_cut_short_are_kept(home: Home) -> None:
    folder = begin(home)
    after_a_level(folder)
    # killed before the first trace part was complete
    frame(health(1, level_index=2), table=CLIENT_HEALTH).write_parquet(
        folder.path / "a1-l002-s000.client_health.parquet"
    )
    frame(scrape(1, level_index=2), table=SERVER_METRICS).write_parquet(folder.path / "a1-l002.server_metrics.parquet")
    recovery.recover(home)
    [manifest] = manifests.read_all(home)
    assert sorted(part["table"] for part in manifest.parts) == ["client_health", "request_traces", "server_metrics"]
    assert [(level["level_index"], level["rows_landed"]) for level in manifest.levels] == [(1, 2), (2, 0)]


def test_a_part_that_waited_since_before_an_upgrade_is_landed(home: Home) -> None:
    folder = begin(home)
    of_version_1(row(0), row(1)).write_parquet(folder.path / "a1-l001-s000.parquet")
    recovery.recover(home)
    [manifest] = manifests.read_all(home)
    assert manifest.levels[0]["rows_landed"] == 2


def test_a_level_that_was_cut_short_is_told_as_it_was_planned(home: Home) -> None:
    shape = {"kind": "open", "concurrency": None, "rate": 4.0, "arrivals": "poisson"}
    folder = begin(home, levels=[{"level_index": 1, "shape": shape, "shards": 2}])
    write_part(folder, row(0, load_kind="open", concurrency=None, request_rate=4.0))
    recovery.recover(home)
    [level] = manifests.read_all(home)[0].levels
    told = ("load_kind", "concurrency", "request_rate", "arrivals", "shards", "search", "stop_reason")
    assert [level[name] for name in told] == ["open", None, 4.0, "poisson", 2, "sweep", "interrupted"]


def test_a_level_of_a_search_is_told_as_its_worker_was(home: Home) -> None:
    folder = begin(home, levels=[], load_config={"search": {"kind": "goodput"}})
    spec = {"shape": {"kind": "closed", "concurrency": 16, "rate": None, "arrivals": None}, "shards": 1}
    (folder.path / "a1-l003-s000.json").write_text(json.dumps(spec))
    write_part(folder, row(0, level_index=3, concurrency=16), level=3)
    recovery.recover(home)
    [level] = manifests.read_all(home)[0].levels
    assert [level[name] for name in ("concurrency", "shards", "search")] == [16, 1, "goodput"]


def test_a_folder_of_before_the_first_note_is_cleared_away(home: Home) -> None:
    folder = begin(home)
    (folder.path / "run.json").unlink()
    [line] = recovery.recover(home)
    assert "before it measured anything" in line
    assert (list(home.incoming.iterdir()), manifests.read_all(home)) == ([], [])


def test_half_written_files_of_a_dead_run_go_with_it_and_others_when_they_are_old(home: Home) -> None:
    folder = begin(home)
    after_a_level(folder)
    manifest = manifests.path_of(home, folder.run())
    manifest.parent.mkdir(parents=True)
    half = manifest.with_name(f".{manifest.name}.123.tmp")
    old, young = home.root / ".report.html.123.tmp", home.root / ".report.html.124.tmp"
    for path in (half, old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    recovery.recover(home)
    assert [path.exists() for path in (half, old, young, manifest)] == [False, False, True, True]

"""Parts move from incoming/ to raw/; what breaks the contract goes to quarantine/ with the reason; nothing is lost."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.columns import CLIENT_HEALTH, SERVER_METRICS
from schemas.errors import LandingError, UsageError
from tests.traces import LEVEL, begin, frame, health, land, of_version_1, row, scrape, write_part
from warehouse import files, manifests, runs
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home, resolve


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def landed_rows(home: Home) -> pl.DataFrame:
    return pl.read_parquet(home.raw / "request_traces/**/*.parquet", hive_partitioning=False)


def test_a_clean_part_is_renamed_as_it_is(home: Home) -> None:
    folder = begin(home)
    part = write_part(folder, row(0), row(1))
    inode = part.stat().st_ino
    folder.land_level(LEVEL)
    landed = home.raw / "request_traces/run_date=2026-11-20/endpoint=e/run_id=r/a1-l001-s000.parquet"
    assert landed.stat().st_ino == inode
    assert not part.exists()


def test_rejected_rows_are_kept_with_their_reasons_and_counted(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0), row(1, outcome="fine"), row(2, outcome="fine", cached_input_tokens=99))
    _, [landed] = folder.land_level(LEVEL)
    assert (landed.rows, landed.rows_quarantined) == (1, 2)
    assert landed.reasons["cached_input_tokens: within_input"] == 1
    quarantined = pl.read_parquet(home.quarantine / "request_traces/**/*.parquet", hive_partitioning=False)
    assert quarantined["request_index"].to_list() == [1, 2]
    assert quarantined["reasons"][0][0]["value"] == "fine"
    assert landed_rows(home)["request_index"].to_list() == [0]


def test_a_part_that_is_no_parquet_is_put_aside_whole(home: Home) -> None:
    folder = begin(home)
    part = write_part(folder, row(0))
    part.write_bytes(part.read_bytes()[:-100])
    _, [landed] = folder.land_level(LEVEL)
    assert (landed.path, landed.rows, landed.rows_quarantined) == (None, 0, 1)
    [aside] = (home.quarantine / "request_traces").rglob("*.parquet")
    assert aside.with_suffix(".reason.json").exists()


def test_a_part_of_another_run_is_not_landed_here(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0, run_id="other"))
    _, [landed] = folder.land_level(LEVEL)
    assert landed.rows == 0
    assert "run_id: found 'other' in a part of 'r'" in next(iter(landed.reasons))


def test_several_shards_are_one_level(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0), shard=0)
    write_part(folder, row(0, shard=1), row(1, shard=1), shard=1)
    assert [part.rows for part in folder.land_level(LEVEL)[1]] == [1, 2]


def test_the_manifest_closes_the_run_with_counts_and_hashes(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0), row(1, outcome="fine"))
    folder.land_level(LEVEL)
    folder.close("complete", None)
    [manifest] = manifests.read_all(home)
    assert manifest.run["status"] == "complete"
    assert manifest.run["rows_quarantined"] == 1
    assert manifest.run["url"] == "http://localhost:1/v1"  # without user and password
    assert manifest.levels[0]["rows_landed"] == 1
    assert list(manifests.check_parts(home, manifest)) == []
    assert not folder.path.exists()


def test_a_changed_or_missing_part_is_noticed(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0))
    folder.land_level(LEVEL)
    folder.close("complete", None)
    [manifest] = manifests.read_all(home)
    path = home.root / manifest.parts[0]["path"]
    path.write_bytes(path.read_bytes() + b" ")
    assert "has changed since it landed" in next(manifests.check_parts(home, manifest))
    path.unlink()
    assert "is missing" in next(manifests.check_parts(home, manifest))
    path.mkdir()
    assert "is no file" in next(manifests.check_parts(home, manifest))


def test_a_home_may_have_any_name_but_one_with_a_question_mark(tmp_path: Path) -> None:
    home = Home(tmp_path / "it's a [home]*")
    folder = begin(home)
    write_part(folder, row(0))
    level, _ = folder.land_level(LEVEL)
    assert (level["status"], level["rows_landed"]) == ("complete", 1)
    folder.close("complete", None)
    build(home)
    assert ask(home, "select rows_landed from runs").rows == [(1,)]
    with pytest.raises(UsageError, match="question mark"):
        resolve(tmp_path / "what?")


def test_a_level_of_which_nothing_kept_the_contract_has_failed(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0, outcome="fine"))
    level, _ = folder.land_level(LEVEL)
    assert (level["status"], level["rows_quarantined"]) == ("failed", 1)


def test_a_full_disk_leaves_the_part_and_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begin(home)
    part = write_part(folder, row(0), row(1, outcome="fine"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(LandingError, match=r"No space left on device.*Free space"):
        folder.land_level(LEVEL)
    monkeypatch.undo()
    assert part.exists()
    assert not list(home.root.rglob("*.tmp"))
    _, [landed] = folder.land_level(LEVEL)
    assert (landed.rows, landed.rows_quarantined) == (1, 1)


def test_a_home_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LandingError, match="--home DIR"):
        Home(tmp_path / "file" / "home").prepare()


def test_a_manifest_of_a_newer_version_is_refused(home: Home) -> None:
    folder = begin(home)
    path = folder.close("complete", None)
    newer = json.loads(path.read_bytes()) | {"manifest_version": manifests.MANIFEST_VERSION + 1}
    path.write_text(json.dumps(newer))
    with pytest.raises(LandingError, match=r"newer Ratecard.*upgrade"):
        manifests.read_all(home)


def test_landed_parts_read_as_the_contract_says(home: Home) -> None:
    folder = begin(home)
    rows: list[dict[str, Any]] = [row(0), row(1)]
    write_part(folder, *rows)
    folder.land_level(LEVEL)
    assert landed_rows(home).equals(frame(*rows))


def write_level(folder: runs.RunFolder) -> None:
    """Two parts of one worker, its health and the engine's metrics."""
    frame(row(0)).write_parquet(folder.path / "a1-l001-s000.parquet")
    frame(row(1)).write_parquet(folder.path / "a1-l001-s000-p001.parquet")
    frame(health(1), table=CLIENT_HEALTH).write_parquet(folder.path / "a1-l001-s000.client_health.parquet")
    frame(scrape(1), table=SERVER_METRICS).write_parquet(folder.path / "a1-l001.server_metrics.parquet")


def test_each_table_of_a_level_lands_in_its_folder_and_only_requests_are_counted(home: Home) -> None:
    folder = begin(home)
    write_level(folder)
    level, landed = folder.land_level(LEVEL)
    below = "run_date=2026-11-20/endpoint=e/run_id=r"
    assert {part.path: part.table for part in landed} == {
        f"raw/request_traces/{below}/a1-l001-s000.parquet": "request_traces",
        f"raw/request_traces/{below}/a1-l001-s000-p001.parquet": "request_traces",
        f"raw/client_health/{below}/a1-l001-s000.client_health.parquet": "client_health",
        f"raw/server_metrics/{below}/a1-l001.server_metrics.parquet": "server_metrics",
    }
    assert (level["status"], level["rows_landed"], level["rows_quarantined"]) == ("complete", 2, 0)
    folder.close("complete", None)
    [manifest] = manifests.read_all(home)
    assert sorted(part["table"] for part in manifest.parts) == [
        "client_health", "request_traces", "request_traces", "server_metrics",
    ]  # fmt: skip
    assert list(manifests.check_parts(home, manifest)) == []
    build(home)
    assert ask(home, "select requests from runs").rows == [(2,)]
    assert ask(home, "select operating_point_id, is_current, reads from client_health").rows == [("r-a1-l1", True, 4)]
    assert ask(home, "select operating_point_id, source from server_metrics").rows == [("r-a1-l1", "vllm")]


def test_broken_health_or_metrics_are_put_aside_and_the_level_stays_complete(home: Home) -> None:
    folder = begin(home)
    write_level(folder)
    (folder.path / "a1-l001.server_metrics.parquet").write_bytes(b"not parquet")
    frame(health(1), health(2, run_id="other"), table=CLIENT_HEALTH).write_parquet(
        folder.path / "a1-l001-s000.client_health.parquet"
    )
    level, landed = folder.land_level(LEVEL)
    assert (level["status"], level["rows_landed"], level["rows_quarantined"]) == ("complete", 2, 0)
    assert {part.table: part.path for part in landed if part.rows_quarantined} == {
        "client_health": None,
        "server_metrics": None,
    }
    assert (home.quarantine / "server_metrics").exists()


def test_parts_of_other_levels_are_left_where_they_are(home: Home) -> None:
    folder = begin(home)
    write_level(folder)
    frame(health(1, level_index=11), table=CLIENT_HEALTH).write_parquet(
        folder.path / "a1-l011-s000.client_health.parquet"
    )
    folder.land_level(LEVEL)
    assert list(folder.parts().values()) == [11]


def test_a_part_of_version_1_lands_as_it_is(home: Home) -> None:
    folder = begin(home)
    of_version_1(row(0), row(1)).write_parquet(folder.path / "a1-l001-s000.parquet")
    level, _ = folder.land_level(LEVEL)
    assert (level["status"], level["rows_landed"]) == ("complete", 2)
    assert "transport" not in landed_rows(home).columns


def test_rows_of_version_1_that_are_kept_beside_rejected_ones_get_the_new_columns(home: Home) -> None:
    folder = begin(home)
    of_version_1(row(0), row(1, outcome="fine")).write_parquet(folder.path / "a1-l001-s000.parquet")
    folder.land_level(LEVEL)
    assert landed_rows(home).equals(frame(row(0, schema_version=1, transport=None)))


def test_a_manifest_of_version_1_has_traces_only(home: Home) -> None:
    folder = begin(home)
    write_part(folder, row(0))
    folder.land_level(LEVEL)
    path = folder.close("complete", None)
    content = json.loads(path.read_bytes()) | {"manifest_version": 1}
    for part in content["parts"]:
        del part["table"]
    path.write_text(json.dumps(content))
    [manifest] = manifests.read_all(home)
    assert [part["table"] for part in manifest.parts] == ["request_traces"]
    build(home)
    assert ask(home, "select rows_landed from runs").rows == [(1,)]


@pytest.mark.parametrize(
    ("workload", "targets", "shares_prefix"),
    [
        ({"input_tokens": 64, "output_tokens": 4}, (64, 4), False),  # as plans were before distributions
        ({"input_tokens": {"mean": 99}, "input_tokens_mean": 99.6, "output_tokens_mean": None}, (100, None), False),
        ({"input_tokens": None, "dataset": {"file": "x"}}, (None, None), True),
        ({"turns": {"count": 3}, "shares_prefix": None}, (None, None), True),
        ({"shared_prefix": {"tokens": 9}, "shares_prefix": False}, (None, None), False),  # the plan's word counts
    ],
)
def test_what_a_workload_asks_for_is_kept_with_the_run(
    home: Home, workload: dict[str, Any], targets: tuple[int | None, int | None], shares_prefix: bool
) -> None:
    run = begin(home, workload_config=workload).run()
    assert (run["input_tokens_target"], run["output_tokens_target"]) == targets
    assert run["shares_prefix"] is shares_prefix


def test_a_manifest_that_lacks_what_tells_runs_apart_or_is_a_copy_is_refused_by_name(home: Home) -> None:
    path = land(home, row(0))
    content = json.loads(path.read_bytes())
    for wrong, told in (
        (content | {"run": content["run"] | {"endpoint": None}}, "it has no run.endpoint"),
        (content | {"run": content["run"] | {"night": "yesterday"}}, "yesterday"),
        (content | {"run": []}, "not a readable manifest"),
        (content | {"parts": [{"path": None}]}, "one of its parts has no level_index"),
        (content | {"levels": "x"}, "its levels are no list of objects"),
        (content | {"levels": [1]}, "its levels are no list of objects"),
        (
            content | {"levels": [content["levels"][0] | {"level_index": "x"}]},
            "level_index of one of its levels is 'x'",
        ),
        (content | {"plan": []}, "its plan is no object"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(LandingError, match=told):
            manifests.read_all(home)
    path.write_text(json.dumps(content))
    copy = path.with_name("r-a1 (copy).json")
    copy.write_text(json.dumps(content))
    with pytest.raises(LandingError, match=r"it is a copy: that of the run is .*/r-a1.json"):
        manifests.read_all(home)

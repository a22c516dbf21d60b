"""Parts move from incoming/ to raw/; what breaks the contract goes to quarantine/ with the reason; nothing is lost."""

import errno
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import LandingError, UsageError
from tests.traces import LEVEL, begin, frame, row, write_part
from warehouse import files, manifests
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
    path.write_text(path.read_text().replace('"manifest_version": 1', '"manifest_version": 2'))
    with pytest.raises(LandingError, match=r"newer Ratecard.*upgrade"):
        manifests.read_all(home)


def test_landed_parts_read_as_the_contract_says(home: Home) -> None:
    folder = begin(home)
    rows: list[dict[str, Any]] = [row(0), row(1)]
    write_part(folder, *rows)
    folder.land_level(LEVEL)
    assert landed_rows(home).equals(frame(*rows))

"""`ratecard retention` and the flow of that name: what they say, and what they do."""

import json
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from schemas.errors import RatecardError
from tests.warehouse.retained import files, measure
from warehouse.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    measure(home)
    return home


@pytest.fixture
def call(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "endpoints.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATECARD_HOME", str(home.root))
    return lambda *arguments: CliRunner().invoke(cli, ["retention", *arguments])


def policy(text: str) -> None:
    Path("catalog/retention.yaml").write_text(text)


def test_without_a_rule_nothing_is_done(home: Home, call: Callable[..., Result]) -> None:
    before = files(home)
    done = call()
    assert (done.exit_code, done.output) == (
        0,
        "catalog has no rule in retention.yaml: nothing is done (`ratecard init DIR` writes one to start from)\n",
    )
    assert files(home) == before


def test_a_catalog_that_is_not_there_is_told(call: Callable[..., Result]) -> None:
    done = call("--catalog", "no-such-folder")
    assert (done.exit_code, "no-such-folder: no such folder" in done.output) == (2, True)


def test_a_dry_run_says_what_would_be_done_and_the_run_what_was(home: Home, call: Callable[..., Result]) -> None:
    policy("small-files:\n  compact_after_days: 2\n")
    before = files(home)
    dry = call("--dry-run", "--as-of", "2026-11-22")
    assert dry.exit_code == 0, dry.output
    assert "Retention as of 2026-11-22, dry run: nothing was touched" in dry.output
    lines = [line.split() for line in dry.output.splitlines() if "small-files" in line]
    # action, table, rule, nights, runs, files, rows, MiB, failed
    assert [line[:7] for line in lines] == [
        ["compact", "client_health", "small-files", "1", "1", "2", "8"],
        ["compact", "request_traces", "small-files", "1", "1", "5", "30"],
    ]
    assert files(home) == before
    assert "Nothing is due on 2026-11-21." in call("--dry-run", "--as-of", "2026-11-21").output

    done = call("--as-of", "2026-11-22", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)
    assert [(row["table"], row["files_before"], row["files_after"], row["rows_after"]) for row in rows] == [
        ("request_traces", 5, 1, 30),
        ("client_health", 2, 1, 8),
    ]
    assert all(row["bytes_after"] < row["bytes_before"] and row["problem"] is None for row in rows)


def clock(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    """The machine's clock is on `day`."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=tz)

    monkeypatch.setattr("flows.keep.datetime", Then)


def test_a_clock_that_runs_ahead_drops_nothing_and_is_told(
    tmp_path: Path, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy("all:\n  drop_after_days: 60\n")
    home = Home(tmp_path / "then")
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.runs.now", lambda: "2026-11-20T02:00:00")
        measure(home)
    before = files(home)
    clock(monkeypatch, "2027-11-20")
    done = call("--home", str(home.root))
    assert done.exit_code == 0, done.output
    assert "the last run began on 2026-11-20, 365 days before today, 2027-11-20: ages count to that day" in done.stderr
    assert "If it is right, `ratecard retention --as-of 2027-11-20`" in done.stderr
    assert done.stdout == "Nothing is due on 2026-11-20.\n"
    assert files(home) == before
    clock(monkeypatch, "2026-11-27")  # a weekly suite: nothing to say
    assert call("--home", str(home.root)).output == "Nothing is due on 2026-11-20.\n"
    clock(monkeypatch, "2026-11-18")
    behind = call("--home", str(home.root))
    assert (
        "a run began on 2026-11-20, which is after today, 2026-11-18: is this machine's clock right?" in behind.stderr
    )

    asked = call("--home", str(home.root), "--as-of", "2027-11-20", "--json")
    assert asked.exit_code == 0, asked.output
    assert {row["action"] for row in json.loads(asked.stdout)} == {"drop"}
    assert not list((home.raw / "request_traces").rglob("*.parquet"))


def test_a_mistake_in_the_policy_is_wrong_usage_and_a_broken_part_is_work_that_failed(
    home: Home, call: Callable[..., Result]
) -> None:
    policy("all:\n  drop_after: 3\n")
    wrong = call()
    assert wrong.exit_code == 2
    assert "ratecard: catalog/retention.yaml:2: all.drop_after: no such field" in wrong.output
    policy("all:\n  compact_after_days: 2\n")
    [part, *_] = (home.raw / "request_traces").rglob("a1-l001-s000.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    failed = call("--as-of", "2026-11-22")
    assert failed.exit_code == 1
    assert "ratecard: not everything was done, and nothing was lost:" in failed.output
    assert f"{part} has changed since it landed" in failed.output


async def test_the_flow_does_the_same_and_fails_where_something_could_not_be_done(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import retention as module

    shown: list[dict[str, Any]] = []

    async def artifact(**what: Any) -> None:
        shown.append(what)

    monkeypatch.setattr(module, "retain_old", module.retain_old.fn)
    monkeypatch.setattr(module, "acreate_table_artifact", artifact)
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "retention.yaml").write_text("all:\n  compact_after_days: 0\n")
    rows = await module.retention.fn(str(home.root), str(folder))
    assert [(row["action"], row["table"], row["files_after"]) for row in rows] == [
        ("compact", "request_traces", 1),
        ("compact", "client_health", 1),
    ]
    assert [(what["key"], len(what["table"])) for what in shown] == [("retention", 2)]
    assert await module.retention.fn(str(home.root), str(folder)) == []
    measure(home, run_id="broken")
    for part in (home.raw / "request_traces").rglob("run_id=broken-0/a1-l002*"):
        part.unlink()
    with pytest.raises(RatecardError, match=r"a1-l002-s000\.parquet is missing"):
        await module.retention.fn(str(home.root), str(folder))

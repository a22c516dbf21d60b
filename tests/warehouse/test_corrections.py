"""A retracted run is kept, shown and excluded; measured again, it is superseded; nothing else of its night moves."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from schemas.errors import LandingError, UsageError, WarehouseError
from tests.traces import begin, land, row, write_part
from warehouse import manifests, retractions
from warehouse.ask import ask
from warehouse.build import build
from warehouse.corrections import restore, retract
from warehouse.home import Home, endpoint_lock

WHY = "it ran\non the \"wrong\" host; it's gone 🙈 -- ' or 1=1"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def measured(home: Home, run_id: str = "r", **changes: Any) -> None:
    """A run of 30 requests, one after the other, each of 999 ms: one valid operating point."""
    requests = (row(index, closed_ns=index * 10**9 + 999_000_000) for index in range(30))
    land(home, *requests, run_id=run_id, **({"workload": "demo-chat"} | changes))


def one(home: Home, query: str) -> dict[str, Any]:
    [found] = ask(home, query).objects()
    return found


def chosen(home: Home, endpoint: str) -> dict[str, Any]:
    return one(home, f"select * from best_operating_points where endpoint = '{endpoint}' and slo = 'offline'")


TABLES_BY_ENDPOINT = (
    "runs", "operating_points", "slo_attainment", "best_operating_points", "time_shares", "server_counts",
    "cost_per_million_tokens", "cost_ledger",
)  # fmt: skip


def of_endpoint(home: Home, endpoint: str) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: ask(home, f"select * from {name} where endpoint = '{endpoint}' order by all").rows
        for name in TABLES_BY_ENDPOINT
        if name not in ("cost_per_million_tokens", "cost_ledger")
    } | {
        name: ask(home, f"select * from {name} where fleet_id like '%/{endpoint}/%' order by all").rows
        for name in TABLES_BY_ENDPOINT[-2:]
    }


def test_a_retracted_run_is_shown_and_never_chosen_and_the_others_of_its_night_are_as_they_were(home: Home) -> None:
    measured(home)
    measured(home, "other", endpoint="f")
    build(home)
    assert chosen(home, "e")["status"] == "chosen"
    before, itself = of_endpoint(home, "f"), of_endpoint(home, "e")
    assert before["cost_per_million_tokens"]

    [done] = retract(home, "r", WHY)
    assert (done.run_id, done.attempt, done.changed) == ("r", 1, True)
    build(home)

    run = one(home, "select * from runs where run_id = 'r'")
    assert run["retracted_why"] == WHY
    assert run["retracted_at"] is not None
    assert (run["is_current"], run["superseded_by"], run["requests"]) == (True, None, 30)
    point = one(home, "select * from operating_points where run_id = 'r'")
    assert (point["validity"], point["is_valid"]) == ("retracted", False)
    assert point["ttft_p50_ms"] == pytest.approx(100)  # its figures stay
    best = chosen(home, "e")
    assert (best["status"], best["reasons"], best["operating_point_id"]) == ("no_valid_point", "retracted", None)
    assert ask(home, "select count(*) from pareto_frontier where run_id = 'r'").rows == [(0,)]
    priced = "select count(*) from cost_per_million_tokens where fleet_id like '%/e/%' and fleet_year_usd is not null"
    assert ask(home, priced).rows == [(0,)]
    assert of_endpoint(home, "f") == before
    assert list(manifests.check_parts(home, manifests.read_all(home)[1])) == []  # its traces are where they were

    [back] = restore(home, "r", "it was the right host")
    assert back.changed
    build(home)
    assert of_endpoint(home, "e") == itself
    said = retractions.words(home, "r", 1)
    assert [(word.retracted, word.why) for word in said] == [(True, WHY), (False, "it was the right host")]


def test_what_a_retracted_run_asked_for_is_not_asked_beside_another_run_of_its_endpoint(home: Home) -> None:
    """The later run of the night had other hardware by mistake: the earlier one's stands again."""
    endpoint = {
        "engine": None, "engine_version": None, "precision": "bf16", "accelerator": "h100", "gpus_per_instance": 1,
        "gpus_per_server": 8, "instances_measured": 1, "role": "aggregated", "quality_score": None,
        "quality_source": None, "memory_gib_per_gpu": None,
    }  # fmt: skip
    measured(home, "first", load="l1", endpoint_config=endpoint)
    measured(home, "second", load="l2", endpoint_config=endpoint | {"precision": "int4"})
    retract(home, "second", "not the engine that we meant")
    build(home)
    assert ask(home, "select distinct precision from usd_per_request").rows == [("bf16",)]
    assert chosen(home, "e")["run_id"] == "first"


def test_attempts_stand_in_for_each_other_and_all_are_shown(home: Home) -> None:
    measured(home)
    measured(home, attempt=2)
    retract(home, "r", "the second one was disturbed", attempt=2)
    build(home)
    columns = "attempt, is_current, superseded_by, retracted_why"
    assert ask(home, f"select {columns} from runs order by attempt").rows == [
        (1, True, None, None),
        (2, False, 1, "the second one was disturbed"),
    ]
    assert chosen(home, "e")["attempt"] == 1

    measured(home, attempt=3)
    build(home)
    assert ask(home, f"select {columns} from runs order by attempt").rows == [
        (1, False, 3, None),
        (2, False, 3, "the second one was disturbed"),
        (3, True, None, None),
    ]
    assert chosen(home, "e")["attempt"] == 3
    assert ask(home, "select attempt, validity from operating_points order by attempt").rows == [
        (1, "valid"),
        (2, "retracted"),
        (3, "valid"),
    ]


def test_a_run_is_retracted_with_all_its_attempts_so_that_no_earlier_one_takes_its_place(home: Home) -> None:
    measured(home)
    measured(home, attempt=2)
    assert [done.attempt for done in retract(home, "r", "all wrong")] == [2, 1]
    assert all(manifest.run["retracted_why"] == "all wrong" for manifest in manifests.read_all(home))


def test_said_twice_it_stands_as_it_was_said_first(home: Home) -> None:
    measured(home)
    retract(home, "r", "first")
    [again] = retract(home, "r", "second")
    assert not again.changed
    assert again.word is not None
    assert again.word.why == "first"
    assert len(retractions.words(home, "r", 1)) == 1
    [never] = restore(home, "r", "back")
    assert never.changed
    [nothing] = restore(home, "r", "back")
    assert not nothing.changed


def test_the_beginning_of_an_id_will_do_and_an_exact_one_goes_before_longer_ones(home: Home) -> None:
    for run_id in ("2026-11-20_e_w_1a", "2026-11-20_e_w_1ab", "2026-11-20_f_w_2b"):
        measured(home, run_id)
    assert [done.run_id for done in retract(home, "2026-11-20_f", "x")] == ["2026-11-20_f_w_2b"]
    assert [done.run_id for done in retract(home, "2026-11-20_e_w_1a", "x")] == ["2026-11-20_e_w_1a"]
    with pytest.raises(
        UsageError, match="begins the ids of 2 runs: which\\?\n  2026-11-20_e_w_1a\n  2026-11-20_e_w_1ab"
    ):
        retract(home, "2026-11-20_e", "x")
    with pytest.raises(UsageError, match=r"no run '2026-11-20_g_w_2b'\. The nearest ids:\n  2026-11-20_f_w_2b"):
        retract(home, "2026-11-20_g_w_2b", "x")
    with pytest.raises(UsageError, match="has no attempt 7: expected one of 1"):
        retract(home, "2026-11-20_f_w_2b", "x", attempt=7)


def test_there_must_be_a_run_and_a_reason(home: Home) -> None:
    with pytest.raises(UsageError, match="nothing has landed"):
        retract(home, "r", "x")
    measured(home)
    for nothing in ("", " \n\t"):
        with pytest.raises(UsageError, match="--why is empty"):
            retract(home, "r", nothing)
    assert not (home.raw / "retractions").exists()


def test_a_run_that_is_being_measured_is_not_retracted_but_one_that_a_crash_left_open_is(home: Home) -> None:
    folder = begin(home)
    write_part(folder, *(row(index) for index in range(3)))
    with endpoint_lock(home, "e", "r"), pytest.raises(UsageError, match="r attempt 1 is being measured: stop it"):
        retract(home, "r", "x")
    [done] = retract(home, "r", "x")  # its process is gone
    assert done.changed
    [manifest] = manifests.read_all(home)
    assert (manifest.run["status"], manifest.run["retracted_why"]) == ("interrupted", "x")


def test_of_a_run_measured_again_just_now_the_closed_attempt_can_be_retracted(home: Home) -> None:
    measured(home)
    begin(home, attempt=2)
    with endpoint_lock(home, "e", "r"):
        assert [done.attempt for done in retract(home, "r", "x")] == [1]
        with pytest.raises(UsageError, match="attempt 2 is being measured"):
            retract(home, "r", "x", attempt=2)


def test_bytes_that_are_no_text_do_not_break_the_builds_to_come(home: Home) -> None:
    measured(home)
    [done] = retract(home, "r", os.fsdecode(b"caf\xe9"))
    assert done.word is not None
    assert done.word.why == "caf?"


def test_a_full_disk_leaves_nothing_half_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(home)
    retract(home, "r", "first")
    before = retractions.path_of(home, "r", 1).read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("warehouse.files.os.fsync", full)
    with pytest.raises(LandingError, match=r"cannot write .*No space left"):
        restore(home, "r", "second")
    monkeypatch.undo()
    folder = retractions.path_of(home, "r", 1).parent
    assert [path.name for path in folder.iterdir()] == ["r-a1.json"]
    assert retractions.path_of(home, "r", 1).read_bytes() == before


def test_two_retractions_at_once_are_one(home: Home) -> None:
    measured(home)
    code = (
        "import sys; from pathlib import Path; from warehouse.corrections import retract; from warehouse.home import Home\n"
        "sys.stdin.readline(); print(retract(Home(Path(sys.argv[1])), 'r', sys.argv[2])[0].changed)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(home.root), why], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for why in ("one", "two")
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=60)[0].strip() for child in children]
    assert sorted(answers) == ["False", "True"]
    assert len(retractions.words(home, "r", 1)) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"retraction_version": 99}', "written by a newer Ratecard.*upgrade"),
        ('{"retraction_version": 1}', "not a readable retraction"),
        ("{", "not a readable retraction.*restore it from a backup"),
    ],
)
def test_a_retraction_that_cannot_be_read_is_named(home: Home, content: str, says: str) -> None:
    measured(home)
    retract(home, "r", "x")
    retractions.path_of(home, "r", 1).write_text(content)
    with pytest.raises(LandingError, match=says):
        manifests.read_all(home)


@pytest.fixture
def call(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATECARD_HOME", str(home.root))
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


def no_build(home: Home) -> None:
    raise WarehouseError("another process is building")


def test_the_command_builds_and_tells_what_it_did(
    home: Home, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(home)
    done = call("retract", "r", "--why", WHY)
    assert (done.exit_code, done.output) == (0, "r attempt 1: retracted\n")
    assert one(home, "select validity, retracted_why from operating_points inner join runs using (run_id)") == {
        "validity": "retracted",
        "retracted_why": WHY,
    }
    report = home.report.read_text()
    assert "was retracted (it ran" in report
    assert "&#34;wrong&#34;" in report
    again = call("retract", "r", "--why", "x", "--json")
    [said] = json.loads(again.output)
    assert (said["run_id"], said["attempt"], said["changed"], said["why"]) == ("r", 1, False, WHY)
    monkeypatch.setattr("warehouse.build.build", no_build)
    back = call("retract", "r", "--undo", "--why", "all was well")
    assert back.exit_code == 1
    assert back.output == (
        "r attempt 1: counts again\n"
        "ratecard: that is on record, but the warehouse does not show it yet: another process is building\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["retract", "r"], "Missing option '--why'"),
        (["retract", "r", "--why", " "], "ratecard: --why is empty"),
        (["retract", "q", "--why", "x"], "ratecard: no run 'q'"),
        (["retract", "", "--why", "x"], "ratecard: no run ''"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(
    home: Home, call: Callable[..., Result], arguments: list[str], says: str
) -> None:
    measured(home)
    done = call(*arguments)
    assert done.exit_code == 2
    assert says in done.output
    assert not home.warehouse.exists()

"""The command without a load: usage, catalog, plan, sql, build; exit codes 0, 1 and 2."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from flows.options import instant
from flows.supervise import supervised


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATECARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("flows.cli._supervise", lambda: None)
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan"], "a suite of the catalog, or --url URL --model NAME"),
        (["plan", "nope"], "no suite 'nope' in suites.yaml: expected one of demo, nightly"),
        (["run", "demo", "--url", "http://x"], "give one or the other"),
        (["run", "--url", "http://x"], "--url needs --model"),
        (["run", "--url", "x", "--model", "m"], "--url: found 'x', expected http://HOST:PORT"),
        (["run", "--url", "http://[::1", "--model", "m"], "--url: not a URL"),
        (["run", "--url", "http://x:99999", "--model", "m"], "--url: not a URL: Port out of range"),
        (["run", "--url", "http://x/?a=b", "--model", "m"], "expected no ?query"),
        (["run", "--url", "http://x", "--model", "m", "--endpoint", "a/b"], "expected a name of at most 64 letters"),
        (
            ["run", "--url", "http://x", "--model", "m", "--peak-rps", "1e30"],
            "--peak-rps: found 1e+30, expected: less than",
        ),
        (
            ["run", "--url", "http://x", "--model", "m", "--api-key-env", "NO_SUCH"],
            "--api-key-env NO_SUCH: there is no such",
        ),
        (["run", "--url", "http://x", "--model", "m", "--requests", "9", "--duration", "9"], "not both"),
        (["run", "--url", "http://x", "--model", "m", "--concurrency", "1,x"], "found '1,x', expected numbers"),
        (["run", "--url", "http://x", "--model", "m", "--concurrency", "4,2"], "must rise without repeats"),
        (
            ["run", "--url", "http://x", "--model", "m", "--slo", "nope"],
            "--slo nope: expected one of interactive, offline",
        ),
        (["plan", "demo", "--catalog", "nowhere"], "no catalog folder at nowhere: `ratecard init nowhere`"),
        (["sql", "select 1", "--csv", "--json"], "not both"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_to_do(
    call: Callable[..., Result], arguments: list[str], says: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output


def test_a_mistake_in_the_catalog_is_exit_code_2_with_file_and_line(
    call: Callable[..., Result], tmp_path: Path
) -> None:
    assert call("init", "mine").exit_code == 0
    path = tmp_path / "mine" / "workloads.yaml"
    path.write_text("chat:\n  input_tokens: many\n  output_tokens: 4\n")
    result = call("plan", "demo", "--catalog", "mine")
    assert result.exit_code == 2
    assert "mine/workloads.yaml:2: chat.input_tokens: found 'many', expected: a valid integer" in result.output


def test_a_password_in_the_url_is_refused_and_not_repeated(call: Callable[..., Result]) -> None:
    result = call("plan", "--url", "http://user:hunter2@localhost:1", "--model", "m")
    assert result.exit_code == 2
    assert "api_key_env" in result.output
    assert "hunter2" not in result.output


def test_a_prefect_server_that_does_not_answer_is_told_in_a_line(
    ratecard: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.flows.conftest.environment", lambda: {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    )
    shown = ratecard("run", "--url", "http://127.0.0.1:9", "--model", "m")
    assert shown.returncode == 2
    assert "nothing answers there" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_init_never_overwrites(call: Callable[..., Result], tmp_path: Path) -> None:
    call("init", "mine")
    (tmp_path / "mine" / "slos.yaml").write_text("{}")
    result = call("init", "mine")
    assert result.exit_code == 2
    assert "exists already" in result.output
    assert (tmp_path / "mine" / "slos.yaml").read_text() == "{}"


def test_plan_sends_nothing_and_counts_what_would_be_sent(call: Callable[..., Result]) -> None:
    arguments = [
        "plan",
        "--url",
        "http://localhost:9",
        "--model",
        "m",
        "--concurrency",
        "1,20",
        "--requests",
        "50",
        "--warmup",
        "3",
    ]
    rows = json.loads(call(*arguments, "--json").output)
    # 50 requests at concurrency 1; at 20 the plan raises them to 7 x 20
    assert [(row["concurrency"], row["warmup_requests"], row["requests"]) for row in rows] == [(1, 3, 50), (20, 3, 140)]
    # 50 + 140 measured, 2 x 3 warm-up, 8 probes
    assert "204 requests" in call(*arguments).output


def test_plan_knows_the_time_of_a_level_with_a_duration(call: Callable[..., Result]) -> None:
    result = call("plan", "--url", "http://localhost:9", "--model", "m", "--concurrency", "1,2", "--duration", "30")
    assert "about 60 s" in result.output


def test_an_unread_home_has_no_warehouse_and_says_so(call: Callable[..., Result]) -> None:
    result = call("sql", "select 1")
    assert result.exit_code == 1
    assert "ratecard build" in result.output


def test_build_and_sql_in_three_shapes(call: Callable[..., Result]) -> None:
    assert call("build").exit_code == 0
    query = "select 1 as a, null as b, 'x,y' as c"
    assert json.loads(call("sql", query, "--json").output) == [{"a": 1, "b": None, "c": "x,y"}]
    assert call("sql", query, "--csv").output == 'a,b,c\n1,,"x,y"\n'
    assert "(1 row)" in call("sql", query).output
    assert call("sql", "select nope").exit_code == 2
    assert json.loads(call("sql", "select 1 as a, 2 as a", "--json").output) == [{"a": 1, "a_2": 2}]
    assert (
        call("sql", "select [1, null] as l, {'k': true} as s", "--csv").output == 'l,s\n"[1, null]","{""k"": true}"\n'
    )
    for query in ("", "select 1; select 2", "select interval '100000000 years'"):
        assert call("sql", query).exit_code == 2


def test_the_macros_are_there_for_any_sql_client(call: Callable[..., Result]) -> None:
    call("build")
    # docs/economics.md: 95 rps at 10 an instance of 2 GPUs, 8 GPUs a server: 10 instances, 3 servers, 4 GPUs stranded
    [row] = json.loads(call("sql", "select * from size_fleet(95, 10, 2, 8)", "--json").output)
    assert (row["instances"], row["servers"], row["stranded_gpus"]) == (10, 3, 4)


@pytest.mark.parametrize("given", ["2026-11-20T02:00:00", "2026-11-20T02:00:00Z", "2026-11-20T11:00:00+09:00"])
def test_a_night_is_an_instant_in_any_zone(given: str) -> None:
    context, option = click.Context(cli), click.Option(["--night"])
    assert instant(context, option, given) == datetime(2026, 11, 20, 2, tzinfo=UTC)
    with pytest.raises(click.BadParameter, match="expected ISO 8601"):
        instant(context, option, "tonight")


def test_a_child_of_the_command_knows_that_it_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATECARD_PARENT_PIPE", raising=False)
    assert not supervised()


def test_help_is_shown_without_importing_prefect(ratecard: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    shown = ratecard("--help")
    assert shown.returncode == 0
    assert "Commands:" in shown.stdout

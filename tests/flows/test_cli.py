"""The command without a load: usage, catalog, plan, sql, build; exit codes 0, 1 and 2."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from flows.adhoc import ONLY_WITH_URL, adhoc_of
from flows.catalogs import write_adhoc
from flows.cli import cli
from flows.options import SectionedOption, instant
from flows.supervise import supervised
from tests.traces import STARTER

SERVER = ["run", "--url", "http://x", "--model", "m"]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATECARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("flows.measuring.stay_supervised", lambda: None)
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
        (["run", "demo", "--rate", "1"], "--rate goes with --url"),
        (
            [*SERVER, "--rate", "1", "--concurrency", "1"],
            "give one of --concurrency, --rate, --speed, --search: found --concurrency and --rate",
        ),
        ([*SERVER, "--rate", "0"], "--rate: found 0.0, expected: greater than 0"),
        ([*SERVER, "--rate", "1,x"], "found '1,x', expected numbers such as 0.5,1,2"),
        ([*SERVER, "--arrivals", "ramp"], "arrivals belongs to an open loop (rate)"),
        ([*SERVER, "--rate", "1", "--burstiness", "0.5"], "burstiness needs arrivals: gamma"),
        ([*SERVER, "--search", "goodput"], "--search goodput needs --slo NAME"),
        ([*SERVER, "--search-max", "8"], "--search-max needs --search"),
        ([*SERVER, "--search", "saturate", "--search-max", "0.5"], "start (1) is above max (0.5)"),
        ([*SERVER, "--cancel-share", "0.1"], "--cancel-share needs --cancel-after"),
        ([*SERVER, "--think-time", "1"], "--think-time needs --turns"),
        ([*SERVER, "--input-tokens", "normal:512"], "found 'normal:512', expected tokens such as 512, uniform:100-900"),
        ([*SERVER, "--input-tokens", "uniform:9-3"], "--input-tokens: max (3) is below min (9)"),
        ([*SERVER, "--output-tokens", "0"], "--output-tokens: "),
        ([*SERVER, "--shared-prefix", "99", "--input-tokens", "normal:0,1"], "--input-tokens: "),
        ([*SERVER, "--proxy", "proxy:3128"], "--proxy: found 'proxy:3128', expected http://HOST:PORT"),
        ([*SERVER, "--proxy-auth-env", "HOME"], "--proxy-auth-env needs --proxy"),
        (
            [*SERVER, "--proxy", "socks5://h:1", "--proxy-auth-env", "NO_SUCH_LOGIN"],
            "--proxy-auth-env NO_SUCH_LOGIN: there is no such environment variable",
        ),
        ([*SERVER, "--trace", __file__], "--trace needs --trace-format"),
        ([*SERVER, "--speed", "2"], "--speed needs --trace"),
        (
            [*SERVER, "--trace", __file__, "--trace-format", "azure", "--turns", "2"],
            "--trace brings its own prompts: leave --turns out",
        ),
        (
            [*SERVER, "--dataset", __file__, "--input-tokens", "9"],
            "--dataset brings its own prompts: leave --input-tokens out",
        ),
        ([*SERVER, "--dataset", "nowhere.json"], "'nowhere.json' does not exist"),
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


def planned_rows(call: Callable[..., Result], *options: str) -> list[dict[str, Any]]:
    result = call("plan", "--url", "http://localhost:9", "--model", "m", *options, "--json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.output)
    return rows


def test_plan_shows_rates_with_the_time_that_they_take(call: Callable[..., Result]) -> None:
    rows = planned_rows(call, "--rate", "0.5,4", "--requests", "60", "--warmup", "2", "--shards", "1")
    assert [(r["shape"], r["request_rate"], r["concurrency"], r["requests"]) for r in rows] == [
        ("0.5/s", 0.5, None, 60), ("4/s", 4, None, 60),
    ]  # fmt: skip
    # 62 arrivals at 0.5 and at 4 a second
    assert [r["expected_s"] for r in rows] == [124, 15.5]
    # a ramp from 1 to 3 a second has 2 a second on average
    [ramp] = planned_rows(call, "--rate", "3", "--arrivals", "ramp", "--ramp-from", "1", "--warmup", "0")
    assert (ramp["arrivals"], ramp["expected_s"]) == ("ramp", 50)


def test_plan_shows_a_search_as_one_row_whose_requests_nobody_knows(call: Callable[..., Result]) -> None:
    options = ["--search", "goodput", "--slo", "interactive", "--search-max", "64"]
    [row] = planned_rows(call, *options)
    assert row["shape"] == "search: goodput over concurrency 1–64 that holds interactive"
    assert (row["requests"], row["requests_are"], row["at_most_s"]) == (None, "unknown", None)
    said = call("plan", "--url", "http://localhost:9", "--model", "m", *options).output
    assert "1 runs, 1 searches (levels found as they go), at least 8 requests" in said


def test_plan_shows_a_trace_at_each_speed(call: Callable[..., Result], tmp_path: Path) -> None:
    lines = "".join(f"2024-05-10 00:00:{s:02}.0000000,10,5\n" for s in range(11))
    (tmp_path / "code.csv").write_text(f"TIMESTAMP,ContextTokens,GeneratedTokens\n{lines}")
    rows = planned_rows(call, "--trace", "code.csv", "--trace-format", "azure", "--speed", "1,2")
    assert [(r["shape"], r["arrivals"], r["workload"]) for r in rows] == [
        ("trace x1", "trace", "trace-code"), ("trace x2", "trace", "trace-code"),
    ]  # fmt: skip


def test_plan_says_how_much_of_a_file_cannot_be_sent(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "asked.jsonl").write_text('{"prompt": "a", "max_tokens": 3}\n{"prompt": "no length"}\n{"prompt": ""}\n')
    said = call("plan", "--url", "http://localhost:9", "--model", "m", "--dataset", "asked.jsonl").output
    assert "dataset-asked leaves 2 entries of its file out" in said


@pytest.mark.parametrize(
    ("options", "workload", "name"),
    [
        ([], {"input_tokens": 512, "output_tokens": 128}, "in512-out128"),
        (
            ["--input-tokens", "uniform:100-900", "--output-tokens", "9"],
            {"input_tokens": {"distribution": "uniform", "min": 100, "max": 900}, "output_tokens": 9},
            "in-uniform-100-900-out9",
        ),
        (
            ["--input-tokens", "normal:512,64.5", "--turns", "3", "--think-time", "2", "--shared-prefix", "40"],
            {
                "input_tokens": {"distribution": "normal", "mean": 512.0, "stddev": 64.5},
                "output_tokens": 128,
                "turns": {"count": 3, "think_time_s": 2.0},
                "shared_prefix": {"tokens": 40},
            },
            "in-normal-512-64.5-out128-prefix40-turns3",
        ),
    ],
)
def test_what_the_requests_look_like_is_said_by_options(
    tmp_path: Path, options: list[str], workload: dict[str, Any], name: str
) -> None:
    written = adhoc_catalog(tmp_path, *options)
    assert written["workloads"] == {name: workload}


def test_the_load_is_said_by_options(tmp_path: Path) -> None:
    written = adhoc_catalog(
        tmp_path, "--rate", "1,2.5", "--arrivals", "gamma", "--burstiness", "0.5", "--duration", "30", "--grace", "5",
        "--cancel-share", "0.1", "--cancel-after", "2", "--confidence", "0.05", "--shards", "2",
    )  # fmt: skip
    assert written["loads"]["adhoc"] == {
        "rate": [1.0, 2.5], "arrivals": "gamma", "burstiness": 0.5, "duration_s": 30.0, "max_duration_s": 150.0,
        "grace_s": 5.0, "cancel": {"share": 0.1, "after_s": 2.0}, "confidence": {"relative": 0.05}, "shards": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "at_most_s"),
    [
        (["--rate", "1", "--requests", "100"], 600),
        # 1,000 arrivals at 0.5 a second take 2,000 s
        (["--rate", "0.5,4", "--requests", "1000"], 4000),
        (["--duration", "1000"], 5000),
    ],
)
def test_a_level_that_is_slow_by_plan_is_not_cut_short(
    call: Callable[..., Result], options: list[str], at_most_s: float
) -> None:
    assert planned_rows(call, *options)[0]["at_most_s"] == at_most_s


def test_every_option_has_a_section_in_the_help_and_a_place_in_the_catalog(call: Callable[..., Result]) -> None:
    shown = call("run", "--help").output
    for title in (
        "The server, instead of SUITE",
        "What the requests look like",
        "How hard to push",
        "What it is worth",
    ):
        assert title in shown
    told = {p.name for p in cli.commands["plan"].params if isinstance(p, SectionedOption)}
    assert told == set(ONLY_WITH_URL)
    assert all(shown.count(f" --{name.replace('_', '-')} ") >= 1 for name in told - {"verify_tls"})


@pytest.mark.parametrize(
    ("content", "format_"),
    [('[{"conversations": []}]', "sharegpt"), ("\n  [\n", "sharegpt"), ('{"prompt": "hi"}\n', "jsonl")],
)
def test_the_format_of_a_dataset_is_seen_in_its_content(tmp_path: Path, content: str, format_: str) -> None:
    file = tmp_path / "my chats.json"
    file.write_text(content)
    written = adhoc_catalog(tmp_path, "--dataset", str(file))
    assert written["workloads"] == {"dataset-my-chats": {"dataset": {"file": str(file), "format": format_}}}


def adhoc_catalog(folder: Path, *options: str) -> dict[str, Any]:
    """The sections that `--url … OPTIONS` means."""
    context = cli.commands["plan"].make_context("plan", ["--url", "http://x", "--model", "m", *options])
    context.params.pop("as_json")
    write_adhoc(adhoc_of(context.params), STARTER, folder)
    return {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}


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

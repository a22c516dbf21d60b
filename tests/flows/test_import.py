"""`ratecard import`: files in, warehouse and card out; what was refused is told and costs an exit code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from tests.warehouse.importers.made import DATA, aiperf_record, jsonl, real, vllm_result
from warehouse.ask import ask
from warehouse.home import Home

TABLES = ("operating_points", "imported_summaries", "runs", "slo_attainment", "cost_per_million_tokens", "cost_ledger")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATECARD_HOME", str(tmp_path / "home"))
    return lambda *arguments: CliRunner().invoke(cli, list(map(str, arguments)))


def result_of(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(vllm_result(**changes)))
    return path


def test_a_result_becomes_a_point_a_fleet_and_a_price_without_any_catalog(
    call: Callable[..., Result], tmp_path: Path
) -> None:
    said = call(
        "import",
        "vllm",
        result_of(tmp_path / "r.json"),
        "--endpoint",
        "h200",
        "--gpus-per-instance",
        "8",
        "--accelerator",
        "H200",
    )
    assert said.exit_code == 0, said.output
    assert "imported_summary" in said.output
    assert "Rate card" in said.output
    home = Home(tmp_path / "home")
    # one instance of 8 GPUs serves 4 requests/s; 10 at peak need 3 servers: $87,500 x 3 a year at the starter's own plan
    fleet = "select distinct servers, fleet_year_usd from cost_per_million_tokens inner join server_counts using (fleet_id) "
    assert ask(home, fleet + "where price_plan = 'own-8gpu' and server_counts.status = 'chosen'").rows == [
        (3, 262_500.0)
    ]
    assert home.report.exists()


def test_traces_pass_the_same_sql_and_a_rebuild_from_raw_alone_is_equal(
    call: Callable[..., Result], tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "profile_export.jsonl", *(aiperf_record(i) for i in range(60)))
    said = call("import", "aiperf", path, "--endpoint", "e", "--json")
    assert said.exit_code == 0, said.output
    (point,) = json.loads(said.output)["operating_points"]
    # 2 in flight, one ends every 50 ms: 20 a second. The window: from the 2nd completion, at 150 ms, to the last sent, at 2950 ms
    assert (point["validity"], point["concurrency"], point["request_rps"]) == ("valid", 2, pytest.approx(20.0))
    assert (point["ttft_p50_ms"], point["tpot_p50_ms"], point["e2e_p50_ms"]) == (40.0, 20.0, 100.0)
    home = Home(tmp_path / "home")
    before = {name: ask(home, f"from {name} order by all").rows for name in TABLES}
    shutil.rmtree(home.incoming)
    home.warehouse.unlink()
    assert call("build").exit_code == 0
    assert {name: ask(home, f"from {name} order by all").rows for name in TABLES} == before
    unknown = ask(home, "select client_version, clock_step_ms, connection_reuse_share, merged_read_share, first_token_merged_share "
                        "from operating_points inner join runs using (run_id)").rows  # fmt: skip
    assert unknown == [("aiperf", None, None, None, None)]


def test_what_is_refused_is_told_with_its_file_and_the_rest_is_imported(
    call: Callable[..., Result], tmp_path: Path
) -> None:
    good, bad = (
        result_of(tmp_path / "good.json"),
        result_of(tmp_path / "bad.json", mean_e2el_ms=4.0, median_e2el_ms=4.0, max_concurrency=8),
    )
    said = call("import", "vllm", good, bad, tmp_path / "absent.json", "--endpoint", "e", "--no-build")
    assert said.exit_code == 1
    assert "landed" in said.output
    assert f"{bad}: result: TTFT 1030 ms is longer than the whole request" in said.output
    assert f"{tmp_path / 'absent.json'}: cannot be read: No such file or directory" in said.output
    assert "Traceback" not in said.output


def test_a_dry_run_writes_nothing(call: Callable[..., Result], tmp_path: Path) -> None:
    said = call("import", "vllm", result_of(tmp_path / "r.json"), "--endpoint", "e", "--dry-run")
    assert (said.exit_code, "would be imported" in said.output, (tmp_path / "home").exists()) == (0, True, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "wrk", "x", "--endpoint", "e"], "'wrk' is not one of 'aiperf', 'genai-perf'"),
        (["import", "vllm", "--endpoint", "e"], "Missing argument 'PATH...'"),
        (["import", "vllm", "x"], "Missing option '--endpoint'"),
        (["import", "vllm", "x", "--endpoint", "a b"], "--endpoint: found 'a b', expected a name of letters"),
        (["import", "llmperf", "x", "--endpoint", "e", "--concurrency", "1", "--request-rate", "2"], "give --concurrency or --request-rate, not both"),
    ],
)  # fmt: skip
def test_a_wrong_use_is_told_and_exits_2(call: Callable[..., Result], arguments: list[str], says: str) -> None:
    said = call(*arguments)
    assert (said.exit_code, says in said.output) == (2, True), said.output


@real
def test_the_real_sweep_is_a_rate_card(call: Callable[..., Result], tmp_path: Path) -> None:
    said = call(
        "import",
        "vllm",
        DATA / "vllm_bench",
        "--endpoint",
        "minimax",
        "--gpus-per-instance",
        "8",
        "--accelerator",
        "h200",
        "--json",
    )
    assert said.exit_code == 0, said.output
    answer = json.loads(said.output)
    assert {point["validity"] for point in answer["operating_points"]} == {"imported_summary"}
    chosen = {
        (row["workload"], row["slo"]): row["concurrency"] for row in answer["rate_card"] if row["status"] == "chosen"
    }
    # the highest rate is at 64 (10.436 requests/s), whose median TTFT of 468 ms is within the starter's 500 ms
    assert chosen[("isl1024-osl128", "interactive")] == 64
    # with 4096 tokens in, the shortest median TTFT is 713 ms
    assert ("isl4096-osl128", "interactive") not in chosen
    saturation = ask(
        Home(tmp_path / "home"),
        "select concurrency, request_rps from operating_points where is_saturation order by all",
    ).rows
    assert [concurrency for concurrency, _ in saturation] == [64, 64]

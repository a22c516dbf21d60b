"""`ratecard demo --sample h200`: traces of a real GPU, landed and priced here; its figures are pinned."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import cli
from flows.samples import SAMPLES, catalog_of
from warehouse.ask import ask
from warehouse.home import Home
from warehouse.samples import land_sample

COLUMNS = "concurrency, validity, request_rps, output_tps, ttft_p50_ms, tpot_p50_ms, joules_per_output_token"
PRICE = (
    "select usd_per_1k_prompts, usd_per_mtok from cost_per_million_tokens where demand = 'chat' "
    "and price_plan = 'h200-neocloud' and cost_basis = 'capacity' and allocation_method = 'price_ratio'"
)
SWEEP = "2026-11-26_h200-llama-8b_in512-out128_6d57b6e3-a1"


LEVELS = {1: 1, 8: 128}
"""Of the sweep's nine, by their number: the concurrency. All of the sample would take the test half a minute."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with the traces of two levels of one of its runs, the sweep of the 8B model, and one level's page."""
    folder = tmp_path_factory.mktemp("sample")
    shutil.copytree(SAMPLES / "h200" / "catalog", folder / "catalog")
    there, here = SAMPLES / "h200" / "runs" / SWEEP, folder / "runs" / SWEEP
    here.mkdir(parents=True)
    for name in (
        "plan.json",
        "run.json",
        "a1-l001-s000.parquet",
        "a1-l008-s000.parquet",
        "a1-l008.server_metrics.parquet",
    ):
        shutil.copy(there / name, here)
    levels = [level for level in json.loads((there / "levels.json").read_text()) if level["level_index"] in LEVELS]
    (here / "levels.json").write_text(json.dumps(levels))
    return folder


def test_the_h200_sample_is_landed_and_priced_as_it_was_measured(sample: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    done = CliRunner().invoke(cli, ["demo", "--sample", str(sample), "--home", str(home.root)])
    assert done.exit_code == 0, done.output
    assert "prices are\ndated" in done.output
    assert home.report.exists()
    points = {row["concurrency"]: row for row in ask(home, f"select {COLUMNS} from operating_points").objects()}
    # a step of one sequence reads 16 GB of weights and more: 6.94 ms are 2.3 TB/s of the card's 4.8
    assert points[1]["tpot_p50_ms"] == pytest.approx(6.942, abs=0.001)
    assert points[1]["ttft_p50_ms"] == pytest.approx(29.27, abs=0.01)
    # 663 W / 4,705 tokens/s
    assert points[128]["output_tps"] == pytest.approx(4705.2, abs=0.1)
    assert points[128]["joules_per_output_token"] == pytest.approx(0.141, abs=0.001)
    assert {c: row["validity"] for c, row in points.items()} == dict.fromkeys(LEVELS.values(), "valid")
    # 128 in flight give 33 times what one gives
    assert points[128]["request_rps"] / points[1]["request_rps"] == pytest.approx(33.41, abs=0.01)
    # $1.74 a GPU-hour / 3,600 s / 36.66 requests/s = $13.18 a million requests of 639.9 tokens
    (price,) = ask(home, PRICE).rows
    assert price[0] == pytest.approx(0.01318, abs=0.00001)
    assert price[1] == pytest.approx(0.02059, abs=0.00001)
    assert land_sample(home, sample, catalog_of(sample)) == {"2026-11-26T05:39:29": [SWEEP.removesuffix("-a1")]}
    assert not list(home.incoming.iterdir())


def test_an_unknown_sample_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["demo", "--sample", "b300", "--home", str(tmp_path)])
    assert done.exit_code == 2
    assert "b300: no such sample; expected h200" in done.output

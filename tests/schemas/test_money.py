"""Plans, demands and SLOs that cannot be are refused where they stand; a demand's trace becomes its rates."""

import shutil
from pathlib import Path

import pytest

from schemas.accelerators import is_known, known_as, kw_per_gpu
from schemas.catalog.demands import DemandTrace
from schemas.catalog_files import load
from schemas.demand_trace import rates_of
from schemas.errors import SpecError
from tests.schemas.test_catalog import complaint, edit, folder
from warehouse.sources import demand_rate_rows, demand_rows

__all__ = ["folder"]

DATA = Path(__file__).parents[3] / "shared" / "data"
AZURE = DATA / "azure" / "AzureLLMInferenceTrace_code_first3000.csv"


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("prices", "usd_per_hour: 50}", "usd_per_hour: 0}", "cloud-8gpu-low.periods.0.usd_per_hour: found 0, expected: greater than 0"),
        ("prices", "server_price: 200000", "server_price: -1", "own-8gpu-onprem.periods.0.server_price: found -1, expected: greater than 0"),
        ("prices", "usd_per_mtok_input: 1,", "usd_per_mtok_input: 0,", "reference-api.periods.0.usd_per_mtok_input: found 0, expected: greater than 0"),
        ("prices", "rent_unit: server\n  gpus_per_server: 8", "rent_unit: provisioned", "cloud-8gpu-low: the period from 2025-01-01 needs tokens_per_s"),
        ("prices", "usd_per_hour: 50}", "usd_per_hour: 50, tokens_per_s: 9}", "cloud-8gpu-low: tokens_per_s belongs to rent_unit: provisioned"),
        ("prices", "usd_per_mtok_output: 3}", "usd_per_mtok_output: 3, usd_per_mtok_reasoning: -1}", "usd_per_mtok_reasoning: found -1"),
        ("prices", "accelerator: h100, rent_unit: gpu", "accelerator: h1000, rent_unit: gpu", "h100-hyperscaler.accelerator: found 'h1000', which is no known accelerator and which endpoints.yaml does not name; did you mean 'h100'?"),
        ("endpoints", "accelerator: cpu", "accelerator: gpux", "demo-llama.accelerator: found 'gpux', which is no known accelerator and which prices.yaml does not name"),
        ("demands", "peak_rps: 100\n  peak_to_average: 3", "peak_rps: 100\n  trace: {file: demands.yaml, format: azure}", "chat: a trace brings its own rates: leave peak_rps"),
        ("demands", "peak_rps: 100\n  peak_to_average: 3", "trace: {file: demands.yaml, format: azure}", "chat.trace: "),
        ("demands", "peak_rps: 100\n  peak_to_average: 3", "trace: {file: gone.csv, format: azure}", "chat.trace.file: found 'gone.csv', expected a file"),
        ("demands", "peak_rps: 100\n  peak_to", "peak_rps: 100\n  trace_rates: [{rps: 1, share: 1}]\n  peak_to", "trace_rates: is measured from trace: leave it out"),
        ("demands", "  peak_rps: 20\n", "  peak_rps: 20\n  max_power_kw: 0\n", "demo-assistant.max_power_kw: found 0, expected: greater than 0"),
    ],
)  # fmt: skip
def test_a_mistake_with_money_names_line_field_and_fix(
    folder: Path,
    name: str,
    old: str,
    new: str,
    says: str,
) -> None:
    edit(folder, name, old, new)
    told = complaint(folder)
    assert says in told
    assert f"{name}.yaml:" in told


def test_an_accelerator_of_ones_own_needs_a_price(folder: Path) -> None:
    edit(folder, "endpoints", "accelerator: cpu", "accelerator: our-asic")
    edit(folder, "prices", "accelerator: cpu", "accelerator: our-asic")
    assert load(folder).endpoints["demo-llama"].accelerator == "our-asic"


def test_an_slo_on_gaps_of_answers_of_one_token_is_refused(folder: Path) -> None:
    edit(folder, "workloads", "output_tokens: 32", "output_tokens: 1")
    told = complaint(folder)
    assert "slos.yaml:10: demo-interactive.bounds.1.metric: workload 'demo-chat' has answers of one token" in told
    assert "demands.yaml:5: demo-assistant.slo: workload 'demo-chat' has answers of one token and so no tpot" in told


def test_a_prefill_pool_cannot_replay_a_trace(folder: Path) -> None:
    shutil.copy(folder / "slos.yaml", folder / "arrivals.csv")
    edit(folder, "endpoints", "  precision: q4_0", "  precision: q4_0\n  role: prefill")
    edit(
        folder,
        "workloads",
        "  input_tokens: 64\n  output_tokens: 32\n",
        "  trace: {file: arrivals.csv, format: azure}\n",
    )
    assert "'demo-llama' is a prefill pool, asked for one token" in complaint(folder)


def azure(path: Path, seconds: list[float]) -> DemandTrace:
    rows = [f"2023-11-16 18:{int(s) // 60:02d}:{s % 60:010.7f},100,10" for s in seconds]
    path.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]))
    return DemandTrace(file=str(path), format="azure", bin_s=10.0)


def test_a_trace_is_counted_in_bins_and_its_end_joins_the_last(tmp_path: Path) -> None:
    # Bins of 10 s from the first arrival: 3 in [0, 10), none in [10, 20), and [20, 30) takes what follows until 34 s:
    # 7 in 14 s. Rates 0.3, 0, 0.5 over 10, 10 and 14 of 34 s.
    arrivals = [0, 1, 9.5, 20, 21, 25, 29, 31, 33, 34]
    rates = rates_of(azure(tmp_path / "trace.csv", [float(at) for at in arrivals]))
    assert [(span.rps, pytest.approx(span.share)) for span in rates] == [(0.0, 10 / 34), (0.3, 10 / 34), (0.5, 14 / 34)]
    assert sum(span.rps * span.share for span in rates) == pytest.approx(10 / 34)


def test_a_trace_within_one_bin_says_nothing_of_a_peak(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"trace.csv: 2 arrivals within 5 s, less than one bin of 10 s: lower bin_s"):
        rates_of(azure(tmp_path / "trace.csv", [0.0, 5.0]))


def test_a_demand_by_trace_keeps_its_rates_in_the_catalog(folder: Path) -> None:
    azure(folder / "arrivals.csv", [0.0, 1.0, 2.0, 3.0, 11.0, 20.0])
    edit(
        folder, "demands", "peak_rps: 100\n  peak_to_average: 3",
        "trace: {file: arrivals.csv, format: azure, bin_s: 10, scale: 10}",
    )  # fmt: skip
    catalog = load(folder)
    (folder / "arrivals.csv").unlink()  # the catalog stands on its own
    [row] = [row for row in demand_rows("hash", catalog) if row["demand"] == "chat"]
    assert (row["peak_rps"], row["mean_rps"], row["mean_source"]) == (4.0, pytest.approx(3.0), "trace")
    assert [(r["rps"], r["share"]) for r in demand_rate_rows("hash", catalog)] == [(2.0, 0.5), (4.0, 0.5)]


@pytest.mark.skipif(not AZURE.exists(), reason="no real traces here")
def test_the_real_azure_trace_has_a_peak_above_its_mean() -> None:
    rates = rates_of(DemandTrace(file=str(AZURE), format="azure"))
    assert sum(span.share for span in rates) == pytest.approx(1)
    assert max(span.rps for span in rates) > 1.5 * sum(span.rps * span.share for span in rates) > 0


@pytest.mark.parametrize(
    ("written", "known", "kw"),
    [
        ("h100", "h100", 1.73),
        ("H100-SXM5", "h100", 1.73),
        ("nvidia-h100-80gb-hbm3", "h100", 1.73),
        ("NVIDIA H100 80GB HBM3", "h100", 1.73),
        ("H200SXM", "h200", 1.73),
        ("GB200-NVL72", "gb200", 2.10),
        # another card, of another power
        ("H100-PCIe", "h100", None),
        ("H100-NVL", "h100", None),
        ("Tesla-T4", "t4", None),
        ("rtx-4090", "rtx4090", None),
        ("b200_192gb", "b200", 2.17),
        ("h1000", None, None),
        ("xh100", None, None),
    ],
)
def test_an_accelerator_is_known_however_it_is_written(written: str, known: str | None, kw: float | None) -> None:
    assert (known_as(written), kw_per_gpu(written)) == (known, kw)
    assert is_known(written) == (known is not None)


def test_no_accelerator_is_none_of_a_power() -> None:
    assert is_known("cpu") and kw_per_gpu("cpu") is None and kw_per_gpu(None) is None

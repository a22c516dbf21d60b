"""What came back from the machine with the GPU, as a sample that `ratecard demo --sample` lands.

    python -m benchmarks.gpu_sample.bring_back SAMPLE PLANS...

Each of PLANS is the folder `plans` of one call, unpacked, in order of time. Runs without a level are left out, and so
are the calibration's traces: its figures stand in `run.json`.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows.level_rows import level_row
from loadgen.plan import RunPlan, probe_spec, shard_specs
from loadgen.spec import PromptScale
from schemas.arrow import write_options
from warehouse.calibration import Comparison, compare, in_words, logged_by_endpoint, run_columns, seen_by_client
from warehouse.landing import PartName

DISTURBED = {("first-start", "h200-llama-1b", 1)}
"""Levels that say nothing of their server: while this one ran, the other server still captured its CUDA graphs."""
ERROR_BAR_STREAMS = 256
"""The calibration's step for the error bar. In the one of 64 streams the client stood still for 0.26 s at its 64th
row (pyarrow importing pandas, loadgen/parts.py); in this one the 64th row came when all had been sent."""


def calibration(plans: Path) -> dict[str, Any]:
    """Columns `calibration_*` of the call's runs."""
    steps: list[Comparison] = []
    for folder in sorted(plans.glob("streams-*")):
        seen = seen_by_client([folder / "a1-l001-s000.parquet"])
        steps.append(compare(seen, logged_by_endpoint(folder / "truth.jsonl"), int(folder.name[-4:])))
        print(steps[-1])
    believed = [step for step in steps if step.streams >= ERROR_BAR_STREAMS]
    print(in_words(believed))
    return run_columns(believed)


def bring(folder: Path, known: dict[str, Any], target: Path) -> None:
    """One run."""
    plan = RunPlan.read(folder / "plan.json")
    notes = json.loads((folder / "notes.json").read_text())
    target.mkdir(parents=True)
    shutil.copy(folder / "plan.json", target)
    levels = {level.level_index: level for level in plan.levels}
    rows = []
    for noted in notes.pop("levels"):
        index = noted["level_index"]
        if index and (plan.suite, plan.endpoint, levels[index].shape.concurrency) in DISTURBED:
            continue
        spec = (
            shard_specs(plan, levels[index], PromptScale(), folder)[0]
            if index
            else probe_spec(plan, 0, PromptScale(), folder)
        )
        how = plan.search["kind"] if plan.search and index else noted["search"]
        rows.append(level_row(spec, how, None, noted["done"]))
        for part in folder.glob(f"a{plan.attempt}-l{index:03d}*.parquet"):
            smaller(part, target / part.name)
    (target / "levels.json").write_text(json.dumps(rows, indent=1) + "\n")
    (target / "run.json").write_text(json.dumps(notes | known, indent=1) + "\n")


def smaller(part: Path, target: Path) -> None:
    """The same rows, compressed as far as zstd goes: a repository keeps them for ever.

    Requests of one batch get their tokens in the same steps, so that their gaps repeat each other's: plain values let
    zstd see that, and take 40 % less than a dictionary's places.
    """
    name = PartName.of(part)
    assert name is not None
    options = write_options(name.table) | {"compression_level": 22}
    options["use_dictionary"] = [path for path in options["use_dictionary"] if not path.startswith("gaps_us")]
    pq.write_table(pq.read_table(part), target, **options)


def main() -> None:
    """All runs of all calls."""
    sample, calls = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    shutil.rmtree(sample / "runs", ignore_errors=True)
    provenance = []
    for plans in calls:
        known = calibration(plans) | {"host": "a lent virtual machine"}
        provenance.append(json.loads((plans / "provenance.json").read_text()))
        for folder in sorted(plans.glob("*-a1")):
            if (folder / "notes.json").exists():
                bring(folder, known, sample / "runs" / folder.name)
    (sample / "provenance.json").write_text(json.dumps(provenance, indent=1) + "\n")


if __name__ == "__main__":
    main()

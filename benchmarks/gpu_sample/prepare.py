"""Plan the runs of the GPU sample here, for the machine with the GPU to carry out.

    python -m benchmarks.gpu_sample.prepare SAMPLE SUITE FOLDER

Makes FOLDER/plans (a run folder for each run of the suite, the tokenizer, the calibration's steps), FOLDER/code (what
of the repository runs there) and leaves the wheels that lie in FOLDER/whl alone.
"""

import json
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from endpoints import ascii_tokenizer
from flows.calibrate import FIRST_STEP_ROUNDS, STREAMS, _spec
from flows.plans import plan_suites
from flows.samples import catalog_of

ROOT = Path(__file__).parents[2]
TOKENS = 8_000
"""Of the tokenizer: few enough to be trained on the standard library's sources in seconds."""

PORTS = {"llama-1b": 8001, "llama-8b": 8002, "llama-tiny": 8003}
MOST_S = {
    "llama-1b": {"c=128": 16.0, "c=256": 30.0, "other": 12.0},
    "llama-8b": {"c=64": 26.0, "c=128": 40.0, "c=256": 62.0, "other": 18.0},
}
"""Seconds that must be left for a level to be begun, as the first start taught."""


def tokenizer(folder: Path) -> None:
    """A byte-pair tokenizer of ASCII tokens (one token, one event), and the ids that must never be generated."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = ascii_tokenizer.train(TOKENS)
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    made = Tokenizer(
        models.BPE(
            vocab=ids, merges=[(left, right) for left, _, right in (pair.partition(" ") for pair in vocabulary.merges)]
        )
    )
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    (folder / "silent.json").write_text(json.dumps(vocabulary.silent))


def main() -> None:
    """Plan for now."""
    sample, suite, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    plans, code = folder / "plans", folder / "code"
    for old in (plans, code):
        shutil.rmtree(old, ignore_errors=True)
    plans.mkdir(parents=True)
    tokenizer(plans)
    runs, servers = [], []
    catalog = catalog_of(sample)
    night = datetime.now(UTC).replace(microsecond=0)
    for plan in plan_suites(catalog, suite, None, night):
        name = f"{plan.run_id}-a{plan.attempt}"
        (plans / name).mkdir()
        (plans / name / "plan.json").write_text(json.dumps(asdict(plan), indent=1, sort_keys=True))
        model = plan.target.model
        server = [model, PORTS[model]]
        servers += [] if server in servers else [server]
        slo = catalog.slos[plan.search["slo"]].model_dump(mode="json") if plan.search else None
        runs.append({"folder": name, "server": server, "most_s": MOST_S.get(model, {}), "slo": slo})
    for index, streams in enumerate(STREAMS):
        step = plans / f"streams-{streams:04d}"
        step.mkdir()
        spec = _spec("http://127.0.0.1:1", streams, streams if index else streams * FIRST_STEP_ROUNDS, step)
        spec.write(step / "spec.json")
    (plans / "order.json").write_text(json.dumps({"servers": servers, "runs": runs}, indent=1))
    for package in ("loadgen", "schemas", "endpoints"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "samples" / "device").iterdir():
        if path.is_file():
            shutil.copy(path, code)


if __name__ == "__main__":
    main()

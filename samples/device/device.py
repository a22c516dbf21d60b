"""On the machine with the GPU: start the servers, run the planned levels, keep what the workers wrote.

    python device.py PLANS OUT --seconds 540

PLANS is a folder that `prepare.py` made: a run folder for each run, as a home has them in `incoming/`, and
`order.json`. Of the repository only `loadgen`, `schemas`'s lists of columns and the reference endpoint are needed.
No level is begun that could not end in time; what was measured until then is kept.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from loadgen.plan import PROBE_STAGES, LevelPlan, RunPlan, open_level, probe_spec, shard_specs
from loadgen.prompts import fit_prompt_scale
from loadgen.scrape import Scraper, server_metrics_path
from loadgen.search import Found, Trial, search_of, verdict
from loadgen.spec import PromptScale, ShardSpec

HERE = Path(__file__).parent
START_S = 150.0
TAIL_S = 8.0
"""Left at the end to pack what there is."""

BEGAN = time.monotonic()


def say(what: str) -> None:
    """One line, with the seconds so far."""
    print(f"{time.monotonic() - BEGAN:6.1f} {what}", flush=True)


def now() -> str:
    """UTC, as the manifests write it."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


async def worker(spec: ShardSpec) -> dict[str, Any]:
    """Run one shard; its last word."""
    path = Path(spec.part_path).with_suffix(".json")
    spec.write(path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadgen", str(path), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    if last["event"] != "done":
        raise RuntimeError(f"{path.name}: {last}")
    path.unlink()
    return last


async def probe(plan: RunPlan, folder: Path) -> tuple[PromptScale, dict[str, Any]]:
    """As `flows.levels.probe`: how long are the server's tokens?"""
    scale, done, began = PromptScale(), [], now()
    for stage in range(len(PROBE_STAGES)):
        spec = probe_spec(plan, stage, scale, folder)
        done.append(await worker(spec))
        found = fit_prompt_scale(done[-1]["probe"])
        if found is None:
            raise RuntimeError(f"the probe of {plan.run_id} learned nothing: {done[-1]}")
        scale = found
    return scale, {"level_index": 0, "search": "probe", "done": done, "began": began}


async def level(plan: RunPlan, one: LevelPlan, scale: PromptScale, keeps: bool | None, folder: Path) -> dict[str, Any]:
    """One load level: its workers, and the server's page beside them."""
    specs = shard_specs(plan, one, scale, folder, keeps_connections=keeps)
    scraper, over = Scraper(plan.target.url, specs[0].identity), asyncio.Event()
    scraping = asyncio.create_task(scraper.run(over))
    done = await asyncio.gather(*(worker(spec) for spec in specs))
    over.set()
    await scraping
    scraper.write(server_metrics_path(folder, plan.attempt, one.level_index))
    return {"level_index": one.level_index, "search": "sweep", "done": list(done)}


async def run(folder: Path, most_s: dict[str, float], slo: dict[str, Any] | None, deadline: float) -> None:
    """All levels of a run that there is time for, or those that its search asks for."""
    plan = RunPlan.read(folder / "plan.json")
    notes: dict[str, Any] = {"started_at": now(), "levels": [], **machine()}
    scale, first = await probe(plan, folder)
    notes["levels"].append(first)
    keeps = first["done"][-1]["keeps_connections"]
    notes |= {
        "keeps_connections": keeps, "chars_per_token": scale.chars_per_token,
        "prompt_overhead_tokens": scale.overhead_tokens,
    }  # fmt: skip
    looking = search_of(plan.search) if plan.search else None
    waiting = list(plan.levels)
    while True:
        trial = looking.next() if looking else None
        if trial is not None:
            plan = with_level(plan, trial)
            (folder / "plan.json").write_text(json.dumps(asdict(plan), indent=1, sort_keys=True))
            waiting = [plan.levels[-1]]
        if not waiting:
            break
        one = waiting.pop(0)
        label = f"{plan.endpoint} {plan.workload} {one.shape.label}"
        left_s = deadline - time.monotonic()
        if left_s < most_s.get(one.shape.label, most_s.get("other", 20.0)):
            say(f"{label}: left out, {left_s:.0f} s are left")
            if looking:
                break
            continue
        capped = replace(one, stop=replace(one.stop, max_duration_s=min(one.stop.max_duration_s, left_s - 6)))
        began = time.monotonic()
        noted = await level(plan, capped, scale, keeps, folder)
        took_s = time.monotonic() - began
        notes["levels"].append(noted)
        last = noted["done"][0]
        say(f"{label}: {took_s:.1f} s, {last['outcomes']}, cpu {last['health']['cpu_share']}, {last['stop_reason']}")
        if looking and trial and slo:
            found = judged(Path(last["parts"][0]), slo)
            say(f"  {found.note}")
            looking.tell(trial, replace(found, gave_up=last["stop_reason"] in ("over_saturated", "error_share")))
        notes["ended_at"] = now()
        (folder / "notes.json").write_text(json.dumps(notes, indent=1))
    if looking:
        say(looking.finding)


def with_level(plan: RunPlan, trial: Trial) -> RunPlan:
    """`plan` with the level that its search asks for (as `flows.search.level_of`)."""
    load: Any = SimpleNamespace(**plan.load_config)
    one, times = open_level(load, len(plan.levels) + 1, trial.load), trial.lengthen
    stop = one.stop
    longer = replace(
        stop, duration_s=(stop.duration_s or 0) * times, min_requests=stop.min_requests * times,
        max_duration_s=stop.max_duration_s * times,
    )  # fmt: skip
    return replace(plan, levels=(*plan.levels, replace(one, stop=longer)))


def judged(part: Path, slo: dict[str, Any]) -> Found:
    """Attainment of an SLO of TTFT and TPOT over the measured requests of a level, for the search alone."""
    import pyarrow.parquet as pq

    limits = {bound["metric"]: bound["max_ms"] for bound in slo["bounds"]}
    asked, good = 0, 0
    for row in pq.read_table(part).to_pylist():
        if row["phase"] != "measure":
            continue
        asked += 1
        if row["outcome"] == "ok":
            ttft = (row["first_token_ns"] - row["sent_ns"]) / 1e6
            tpot = (row["last_token_ns"] - row["first_token_ns"]) / 1e6 / max(1, row["output_tokens"] - 1)
            good += ttft <= limits["ttft"] and tpot <= limits["tpot"]
    share, z2 = good / asked, 1.959964**2
    middle = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = 1.959964 / (1 + z2 / asked) * math.sqrt(share * (1 - share) / asked + z2 / (4 * asked**2))
    wanted = slo["attainment_share"]
    answer = {
        "attainment_share": wanted, "attainment_lo": middle - half, "attainment_hi": middle + half,
        "meets_slo": share >= wanted,
    }  # fmt: skip
    return Found(None, holds=verdict(answer), note=f"attainment {share:.3f}, {middle - half:.3f}-{middle + half:.3f}")


def machine() -> dict[str, Any]:
    """The columns of `raw.runs` that this machine gives."""
    return {
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python_version": sys.version.split()[0],
        "cpu_count": os.cpu_count() or 1,
    }


def provenance() -> dict[str, Any]:
    """What the sample's page says of this machine."""
    from importlib.metadata import version

    names = ("torch", "transformers", "triton", "tokenizers", "numpy", "pyarrow", "httpx", "uvloop")
    found: dict[str, Any] = {"date": now(), **machine(), "packages": {name: version(name) for name in names}}
    with contextlib.suppress(OSError):
        cards = "name,driver_version,memory.total,power.limit,clocks.max.sm,clocks.max.memory,pci.bus_id"
        asked = ["nvidia-smi", f"--query-gpu={cards}", "--format=csv"]
        found["nvidia_smi"] = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["cpu"] = line.partition(":")[2].strip()
            break
    return found


@contextlib.contextmanager
def servers(shapes: list[tuple[str, int]], tokenizer: Path, logs: Path) -> Any:
    """The servers, started side by side."""
    started = []
    for shape, port in shapes:
        log = (logs / f"server-{port}.log").open("w")
        command = [sys.executable, str(HERE / "server.py"), "--shape", shape, "--port", str(port)]
        command += ["--tokenizer", str(tokenizer)]
        started.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
    try:
        yield started
    finally:
        for process in started:
            process.kill()


async def answers(port: int, model: str) -> None:
    """Wait until a server has answered a request."""
    body = json.dumps(
        {"model": model, "max_tokens": 2, "messages": [{"role": "user", "content": "import os"}]}
    ).encode()

    def ask() -> None:
        while time.monotonic() - BEGAN < START_S:
            with contextlib.suppress(OSError):
                request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body)
                with urllib.request.urlopen(request, timeout=START_S) as answer:
                    assert b"[DONE]" in answer.read()
                return
            time.sleep(0.3)
        raise TimeoutError(f"the server on {port} did not answer in {START_S:g} s")

    await asyncio.to_thread(ask)


async def calibrate(plans: Path) -> None:
    """The client's own error here: the planned steps against the reference endpoint, compared at home."""
    for folder in sorted(plans.glob("streams-*")):
        log = folder / "truth.jsonl"
        timing = ["--ttft-ms", "100", "--itl-ms", "20"]
        reference = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "endpoints.reference", *timing, "--log", str(log),
            "--stop-on-stdin-eof", stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert reference.stdout is not None and reference.stdin is not None
        ready = json.loads(await reference.stdout.readline())
        spec = ShardSpec.read(folder / "spec.json")
        spec = replace(
            spec, target=replace(spec.target, url=ready["url"]), part_path=str(folder / Path(spec.part_path).name)
        )
        done = await worker(spec)
        reference.stdin.close()
        await reference.wait()
        say(f"{folder.name}: {done['outcomes']}, cpu {done['health']['cpu_share']}")


def pack(plans: Path, out: Path) -> None:
    """All of it as one file, whole at each moment."""
    temporary = out.with_suffix(".tmp")
    with tarfile.open(temporary, "w") as tar:
        tar.add(plans, arcname="plans")
    temporary.replace(out)


async def main() -> None:
    """Do what `order.json` says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plans", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    deadline = BEGAN + asked.seconds - TAIL_S
    work = Path(tempfile.mkdtemp(prefix="gpu-sample-")) / "plans"
    shutil.copytree(asked.plans, work)
    order = json.loads((work / "order.json").read_text())
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    (work / "provenance.json").write_text(json.dumps(provenance(), indent=1))
    with servers([tuple(pair) for pair in order["servers"]], work / "tokenizer.json", work):
        try:
            for shape, port in order["servers"]:  # what one server still captures would slow the other's first level
                await answers(port, shape)
                say(f"{shape} answers")
            await calibrate(work)
            for one in order["runs"]:
                try:
                    await run(work / one["folder"], one["most_s"], one["slo"], deadline)
                except Exception as error:  # the card is lent for minutes: the other runs get their turn
                    say(f"{one['folder']}: {type(error).__name__}: {error}")
                await asyncio.to_thread(pack, work, asked.out)
        finally:
            pack(work, asked.out)
            for log in sorted(work.glob("server-*.log")):
                print(log.name, log.read_text()[-3000:], flush=True)


if __name__ == "__main__":
    asyncio.run(main())

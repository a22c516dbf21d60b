"""SGLang `bench_serving --output-file`: JSON lines, one a level; neither date nor, in older versions, model is in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.errors import ResultFileError
from warehouse.importers import serving_bench
from warehouse.importers.levels import Level, Said, closed_or_open
from warehouse.importers.recognise import expect
from warehouse.importers.summary import check

TOOL = "sglang"
SUFFIXES = (".jsonl", ".json")
_METRICS = {"ttft": ("ttft",), "tpot": ("tpot", "tpot_osl_minus_1"), "e2e_latency": ("e2e_to_close",)}


def read(paths: list[Path], said: Said) -> Iterator[Level | ResultFileError]:
    """Every line of `paths`."""
    yield from serving_bench.each(
        TOOL,
        paths,
        lambda path, document, where: _level(path, document, said, where),
        lambda position, _: f"line {position}",
    )


def _level(path: Path, document: dict[str, Any], said: Said, where: str) -> Level:
    expect(path, document, TOOL, where=where)
    # through its native API the gap of a chunk is divided by its tokens, which is our ITL
    native = document.get("backend") in ("sglang", "sglang-native")
    columns, unit = serving_bench.columns_of(path, document, _METRICS | {"itl": ("itl",) if native else ("chunk_gap",)})
    # "trace" is the pace of a recording: nobody says how many are in flight at once
    at_once = (
        None if document.get("request_rate") == "trace" else document.get("num_prompts") or document.get("completed")
    )
    shape = closed_or_open(
        path, said, document.get("max_concurrency"), document.get("request_rate"), where=where, burst=at_once
    )
    asked = {name: document.get(f"random_{name}_len") for name in ("input", "output")}
    is_random = str(document.get("dataset_name") or "").startswith("random")
    server = document.get("server_info") or {}
    model = (
        document.get("model")
        or document.get("model_path")
        or (server.get("model_path") if isinstance(server, dict) else None)
    )
    level = Level(
        TOOL,
        path,
        **shape,
        model=model,
        test_id=str(document.get("tag") or ""),
        input_tokens=asked["input"] if is_random and asked["input"] else columns["input_tokens_mean"],
        output_tokens=asked["output"] if is_random and asked["output"] else columns["output_tokens_mean"],
        summary=columns,
    )
    check(path, where, level, unit=unit)
    if disagreement := serving_bench.lists_disagree(document, columns):
        raise ResultFileError(
            f"{path}: {where}: the summary contradicts its own lists: {'; '.join(disagreement)}; nobody can tell which is right"
        )
    return level

"""Prometheus pages of the serving engines: which of their names is which column of `raw.server_metrics`.

Names: the engines' own documentation, and pages of vLLM and llama.cpp as they came. Engines rename them; a column
lists the names in order, newest first, and the first that a page has is taken. Where a figure is a sum of several
names they stand together. Queues and counters are summed over label sets (data-parallel ranks, models), shares are
averaged; of a name that counts a request once in each model of an ensemble the largest is taken.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from schemas.columns import SERVER_METRICS

SHARES = ("kv_cache_usage", "prefix_cache_hit_share", "gpu_busy_percent")


@dataclass(frozen=True, slots=True)
class Name:
    """A sample's name, and labels that it must have."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


Sources = tuple[tuple[Name, ...], ...]
"""Ways to get one figure, the first that a page has in full is taken: names whose values are added."""


def _any(*names: str) -> Sources:
    return tuple((Name(name),) for name in names)


def _labelled(name: str, **labels: str) -> Sources:
    return ((Name(name, labels),),)


_VLLM: dict[str, Sources] = {
    "requests_running": _any("vllm:num_requests_running"),
    "requests_waiting": _any("vllm:num_requests_waiting"),
    "kv_cache_usage": _any("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    "prefix_cache_queries": _any(
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_queries",
        "vllm:gpu_prefix_cache_queries_total",
        "vllm:gpu_prefix_cache_queries",
    ),
    "prefix_cache_hits": _any(
        "vllm:prefix_cache_hits_total",
        "vllm:prefix_cache_hits",
        "vllm:gpu_prefix_cache_hits_total",
        "vllm:gpu_prefix_cache_hits",
    ),
    "prefix_cache_hit_share": _any("vllm:gpu_prefix_cache_hit_rate"),  # version 0 of the engine
    "prompt_tokens": _any("vllm:prompt_tokens_total"),
    "generation_tokens": _any("vllm:generation_tokens_total"),
    "requests_finished": _any("vllm:request_success_total"),
    "preemptions": _any("vllm:num_preemptions_total"),
}
_SGLANG: dict[str, Sources] = {
    "requests_running": _any("sglang:num_running_reqs"),
    "requests_waiting": _any("sglang:num_queue_reqs"),
    "kv_cache_usage": _any("sglang:token_usage"),
    "prefix_cache_queries": _any("sglang:prompt_tokens_total"),
    "prefix_cache_hits": _any("sglang:cached_tokens_total"),
    "prefix_cache_hit_share": _any("sglang:cache_hit_rate"),
    "prompt_tokens": _any("sglang:prompt_tokens_total"),
    "generation_tokens": _any("sglang:generation_tokens_total"),
    "requests_finished": _any("sglang:num_requests_total"),
    "preemptions": _any("sglang:num_retracted_requests_total"),
}
# llama.cpp's prompt_tokens_total leaves cached ones out, the other engines' count them
_LLAMA_PROMPTS = (Name("llamacpp:prompt_tokens_total"), Name("llamacpp:prompt_tokens_cached_total"))
_LLAMA_CPP: dict[str, Sources] = {
    "requests_running": _any("llamacpp:requests_processing"),
    "requests_waiting": _any("llamacpp:requests_deferred"),
    "kv_cache_usage": _any("llamacpp:kv_cache_usage_ratio"),
    "prefix_cache_queries": (_LLAMA_PROMPTS,),
    "prefix_cache_hits": _any("llamacpp:prompt_tokens_cached_total"),
    "prompt_tokens": (_LLAMA_PROMPTS, *_any("llamacpp:prompt_tokens_total")),
    "generation_tokens": _any("llamacpp:tokens_predicted_total"),
}
_NIM: dict[str, Sources] = {
    "requests_running": _any("num_requests_running"),
    "requests_waiting": _any("num_requests_waiting"),
    "kv_cache_usage": _any("gpu_cache_usage_perc"),
    "prompt_tokens": _any("prompt_tokens_total"),
    "generation_tokens": _any("generation_tokens_total"),
    "requests_finished": _any("request_success_total", "request_finish_total"),
    "preemptions": _any("num_preemptions_total"),
}
_TRITON: dict[str, Sources] = {
    # "waiting" is "active" less "scheduled"
    "requests_running": (
        *_labelled("nv_trt_llm_request_metrics", request_type="scheduled"),
        *_labelled("nv_trt_llm_request_metrics", request_type="active"),
    ),
    "requests_waiting": (
        *_labelled("nv_trt_llm_request_metrics", request_type="waiting"),
        *_any("nv_inference_pending_request_count"),
    ),
    "kv_cache_usage": _labelled("nv_trt_llm_kv_cache_block_metrics", kv_cache_block_type="fraction"),
    "requests_finished": _any("nv_inference_request_success"),
}
_TRANSFORMERS: dict[str, Sources] = {
    # the front over transformers' continuous batching that the GPU samples were measured with
    "requests_running": _any("transformers:num_requests_running"),
    "requests_waiting": _any("transformers:num_requests_waiting"),
    "kv_cache_usage": _any("transformers:kv_cache_usage"),
    "prefix_cache_queries": _any("transformers:prefix_cache_queries_total"),
    "prefix_cache_hits": _any("transformers:prefix_cache_hits_total"),
    "prompt_tokens": _any("transformers:prompt_tokens_total"),
    "generation_tokens": _any("transformers:generation_tokens_total"),
    "requests_finished": _any("transformers:requests_finished_total"),
}
_GPUS: dict[str, Sources] = {
    "gpu_power_w": _any("DCGM_FI_DEV_POWER_USAGE", "nv_gpu_power_usage"),
    "gpu_energy_mj": _any("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
    "gpu_busy_percent": _any("DCGM_FI_DEV_GPU_UTIL"),
    "gpu_memory_mib": _any("DCGM_FI_DEV_FB_USED"),
}
"""Of the cards, under the names of NVIDIA's dcgm-exporter (or Triton's own), where an engine's page has them too."""
_ONCE_A_MODEL = {"nv_inference_pending_request_count", "nv_inference_request_success"}
ENGINES = {
    "vllm": _VLLM, "sglang": _SGLANG, "llama.cpp": _LLAMA_CPP, "triton": _TRITON, "transformers": _TRANSFORMERS,
    "nim": _NIM,
}  # fmt: skip
"""Columns by engine. NIM's names have no prefix, so that it comes last."""

_NAMED = (*ENGINES.values(), _GPUS)
_FIGURES = tuple(column.name for column in SERVER_METRICS.columns if any(column.name in columns for columns in _NAMED))
_WANTED = {name.name for columns in _NAMED for ways in columns.values() for way in ways for name in way}
_LINES = re.compile(rf"^(?:{'|'.join(re.escape(name) for name in sorted(_WANTED))})[{{ \t].*$", re.MULTILINE)

Samples = dict[str, list[tuple[dict[str, str], float]]]


@dataclass(frozen=True, slots=True)
class Page:
    """One scrape: whose names it has, and each figure of `raw.server_metrics`, null where it is not there."""

    source: str
    figures: dict[str, float | None]


def read_page(text: str) -> Page | None:
    """Read a Prometheus page; null where it has no figure of an engine that we know.

    Lines of other names are passed over before any parsing: most of a page is histograms.
    """
    samples = _samples("\n".join(_LINES.findall(text)) + "\n")
    for source, columns in ENGINES.items():
        found = {column: _figure(ways, samples, column) for column, ways in columns.items()}
        if any(value is not None for value in found.values()):
            cards = {column: _figure(ways, samples, column) for column, ways in _GPUS.items()}
            return Page(source, dict.fromkeys(_FIGURES) | found | cards)
    return None


def _samples(lines: str) -> Samples:
    samples: Samples = {}
    try:
        for family in text_string_to_metric_families(lines):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    except ValueError:
        return {}  # not a page that Prometheus could read either
    return samples


def _figure(ways: Sources, samples: Samples, column: str) -> float | None:
    for way in ways:
        parts = [_values(name, samples) for name in way]
        if all(parts) and column in SHARES:
            share = math.fsum(parts[0]) / len(parts[0])
            return share if share >= 0 else None  # vLLM says -1 of a prefix cache that is off
        if all(parts):
            return math.fsum(_total(name, values) for name, values in zip(way, parts, strict=True))
    return None


def _total(name: Name, values: list[float]) -> float:
    return max(values) if name.name in _ONCE_A_MODEL else math.fsum(values)


def _values(name: Name, samples: Samples) -> list[float]:
    wanted = name.labels.items()
    return [value for labels, value in samples.get(name.name, ()) if wanted <= labels.items()]

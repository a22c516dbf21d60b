"""GET /metrics in Prometheus' text format, under vLLM's names."""

from endpoints.reference import wire
from endpoints.reference.capacity import Capacity
from endpoints.reference.prefix_cache import PrefixCache
from endpoints.reference.script import Script

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FINISHED_REASONS = ("stop", "length", "abort")


def metrics(model: str, capacity: Capacity, cache: PrefixCache | None) -> Script:
    """Answer with the state and the counts of now; a prompt cache that there is not counts nothing."""
    share = len(capacity.running) / capacity.slots if capacity.slots else 0.0
    label = f'model_name="{_escaped(model)}"'
    scalars = [
        ("num_requests_running", "gauge", "Number of generations that run.", len(capacity.running)),
        ("num_requests_waiting", "gauge", "Number of generations that wait for a slot.", len(capacity.waiting)),
        ("kv_cache_usage_perc", "gauge", "Share of the slots that is taken. 1 means all of them.", share),
        ("prefix_cache_queries_total", "counter", "Prompt tokens looked up.", cache.queried_tokens if cache else 0),
        ("prefix_cache_hits_total", "counter", "Prompt tokens found.", cache.hit_tokens if cache else 0),
        ("prompt_tokens_total", "counter", "Prompt tokens of generations begun.", capacity.prompt_tokens),
        ("generation_tokens_total", "counter", "Tokens sent.", capacity.generated_tokens),
    ]
    lines = [line for name, kind, says, value in scalars for line in _head(name, kind, says, f"{{{label}}} {value}")]
    lines += _head("request_success_total", "counter", "Generations that ended.")
    lines += [
        f'vllm:request_success_total{{finished_reason="{reason}",{label}}} {capacity.finished[reason]}'
        for reason in _FINISHED_REASONS
    ]
    return Script([wire.answer(200, _CONTENT_TYPE, ("\n".join(lines) + "\n").encode())], [0])


def _head(name: str, kind: str, says: str, *samples: str) -> list[str]:
    return [
        f"# HELP vllm:{name} {says}",
        f"# TYPE vllm:{name} {kind}",
        *(f"vllm:{name}{sample}" for sample in samples),
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

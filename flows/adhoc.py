"""From the options of `ratecard run --url` to the fields of a catalog, and from a mistake there back to its option."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.catalogs import AdHoc
from schemas.errors import UsageError

FIELDS = {
    "url": "endpoints.url", "model": "endpoints.model", "api": "endpoints.api", "api_key_env": "endpoints.api_key_env",
    "extra_body": "endpoints.extra_body", "timeout": "endpoints.timeout_s", "verify_tls": "endpoints.verify_tls",
    "proxy": "endpoints.proxy", "proxy_auth_env": "endpoints.proxy_auth_env", "http2": "endpoints.http2", "tokenizer": "endpoints.tokenizer",
    "accelerator": "endpoints.accelerator", "gpus_per_instance": "endpoints.gpus_per_instance",
    "gpus_per_server": "endpoints.gpus_per_server",
    "input_tokens": "workloads.input_tokens", "output_tokens": "workloads.output_tokens",
    "shared_prefix": "workloads.shared_prefix.tokens", "turns": "workloads.turns.count",
    "think_time": "workloads.turns.think_time_s", "dataset": "workloads.dataset.file",
    "dataset_format": "workloads.dataset.format", "trace": "workloads.trace.file",
    "trace_format": "workloads.trace.format", "seed": "workloads.seed",
    "concurrency": "loads.concurrency", "rate": "loads.rate", "arrivals": "loads.arrivals",
    "burstiness": "loads.burstiness", "ramp_from": "loads.ramp_from", "speed": "loads.speed",
    "search": "loads.search.kind", "search_over": "loads.search.over", "search_max": "loads.search.max",
    "requests": "loads.requests", "duration": "loads.duration_s", "warmup": "loads.warmup_requests",
    "grace": "loads.grace_s", "confidence": "loads.confidence.relative", "cancel_share": "loads.cancel.share",
    "cancel_after": "loads.cancel.after_s", "shards": "loads.shards",
    "peak_rps": "demands.peak_rps",
}  # fmt: skip
"""Where the catalog has what an option says: section and field."""

ONLY_WITH_URL = (*FIELDS, "endpoint", "slo")
_SHAPES = ("concurrency", "rate", "speed", "search")
_NEEDS = {
    "think_time": "turns", "dataset_format": "dataset", "trace_format": "trace", "trace": "trace_format",
    "speed": "trace", "search_over": "search", "search_max": "search", "cancel_share": "cancel_after",
    "cancel_after": "cancel_share", "proxy_auth_env": "proxy",
}  # fmt: skip
DEFAULT_CONCURRENCY = (1, 2, 4, 8, 16)
DEFAULT_REQUESTS = 100
DAY_S = 86_400.0
DEFAULT_TOKENS = {"input_tokens": 512, "output_tokens": 128}


def check_options(options: dict[str, Any]) -> None:
    """Find what the options say that cannot be, beyond what the catalog's own models find.

    Raises:
        UsageError: the first contradiction.

    """
    problems = _of_url(options) if options["url"] is not None else _of_suite(options)
    if problem := next(problems, None):
        raise UsageError(problem)


def _of_suite(options: dict[str, Any]) -> Iterator[str]:
    if options["suite"] is None and options["schedule"] is None:
        yield "say what to measure: a suite of the catalog, or --url URL --model NAME"
    for option in ONLY_WITH_URL:
        if options[option] is not None:
            yield f"{_flag(option)} goes with --url; of a suite, the catalog says it"


def _of_url(options: dict[str, Any]) -> Iterator[str]:
    if options["suite"] is not None or options["schedule"] is not None:
        yield "--url measures one server without a suite: give one or the other"
    given = {name for name, value in options.items() if value is not None}
    if "model" not in given:
        yield "--url needs --model NAME: the name that the server knows (curl URL/v1/models lists them)"
    if {"requests", "duration"} <= given:
        yield "give --requests or --duration, not both"
    for option in ("api_key_env", "proxy_auth_env"):
        if (variable := options[option]) and not os.environ.get(variable):
            yield f"{_flag(option)} {variable}: there is no such environment variable, or it is empty"
    shapes = [_flag(name) for name in _SHAPES if name in given]
    if len(shapes) > 1:
        yield f"give one of {', '.join(map(_flag, _SHAPES))}: found {' and '.join(shapes)}"
    if {"dataset", "trace"} <= given:
        yield "give --dataset or --trace, not both: prompts come from one of them"
    for file in sorted({"dataset", "trace"} & given):
        brings = ["input_tokens", "shared_prefix", "turns"] + (["output_tokens"] if file == "trace" else [])
        if extra := [_flag(name) for name in brings if name in given]:
            yield f"--{file} brings its own prompts: leave {' and '.join(extra)} out"
    for option, needed in _NEEDS.items():
        if option in given and needed not in given:
            yield f"{_flag(option)} needs {_flag(needed)}"
    if options["search"] == "goodput" and "slo" not in given:
        yield "--search goodput needs --slo NAME: what must hold"


def adhoc_of(options: dict[str, Any]) -> AdHoc:
    """The options as fields of a catalog, with the defaults of a load that is given by options alone."""
    told = {name: options[name] for name in FIELDS if options[name] is not None}
    for name in {"dataset", "trace", "tokenizer"} & told.keys():
        told[name] = str(Path(told[name]).absolute())  # the catalog that names it is in a folder of its own
    if "dataset" in told:
        told.setdefault("dataset_format", _dataset_format(Path(told["dataset"])))
    elif "trace" not in told:
        told = DEFAULT_TOKENS | told
    if not told.keys() & set(_SHAPES):
        told |= {"speed": [1.0]} if "trace" in told else {"concurrency": list(DEFAULT_CONCURRENCY)}
    if not told.keys() & {"requests", "duration", "speed"}:
        told["requests"] = DEFAULT_REQUESTS
    sections: dict[str, Any] = {"endpoints": {}, "workloads": {}, "loads": {}, "demands": {}}
    for name, value in told.items():
        *parents, field = FIELDS[name].split(".")
        inner = sections
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[field] = value
    load_ = sections["loads"] | _patience(sections["loads"])
    if options["search"] == "goodput":
        load_["search"]["slo"] = options["slo"]
    return AdHoc(
        endpoint=sections["endpoints"],
        workload=sections["workloads"],
        load=load_,
        name=options["endpoint"],
        slo=options["slo"],
        **sections["demands"],
    )


def _patience(load_: dict[str, Any]) -> dict[str, float]:
    """`max_duration_s` where the catalog's ten minutes could cut a level short that is as slow as it was asked to be."""
    if "duration_s" in load_:
        return {"max_duration_s": load_["duration_s"] * 5}
    if "speed" in load_:
        return {"max_duration_s": DAY_S}
    if "rate" in load_ and (longest := 2 * load_["requests"] / max(load_["rate"][0], 1e-9)) > 600:
        return {"max_duration_s": longest}
    return {}


def _dataset_format(file: Path) -> str:
    """ShareGPT is one list of conversations; JSON lines begin with an object."""
    try:
        with file.open(encoding="utf-8-sig") as text:
            first = next((line.lstrip() for line in text if line.strip()), "")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--dataset {file}: cannot be read: {error}") from None
    return "sharegpt" if first.startswith("[") else "jsonl"


def by_option(line: str) -> str:
    """A mistake in a catalog file, `folder/section.yaml:line: name.field: what`, as a mistake in an option."""
    file, _, rest = line.partition(".yaml:")
    where, _, what_is_wrong = rest.partition(": ")[2].partition(": ")
    section, inside = Path(file).name, f".{where}."
    found = [o for o, path in FIELDS.items() if _is_in(path, section, inside)]
    # the longest: search.max is a search's, not a uniform length's
    option = max(found, key=lambda o: len(FIELDS[o]), default=None)
    if option is None and section == "endpoints" and "expected a name" in what_is_wrong:
        option = "endpoint"
    return f"{_flag(option)}: {what_is_wrong}" if option else what_is_wrong


def _is_in(path: str, section: str, inside: str) -> bool:
    own, _, field = path.partition(".")
    return own == section and f".{field}." in inside


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"

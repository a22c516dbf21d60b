"""What `ratecard doctor` finds out about an endpoint: key, reachable, streams, counts tokens, tells of itself.

By two short requests through the load generator's own probe, so that what passes here passes a night's probe.
"""

import asyncio
import os
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from flows.advice import remedy, symptom
from flows.checks import Check
from flows.children import run_worker
from flows.scraping import page_headers
from loadgen.plan import RunPlan, plan_run, probe_spec
from loadgen.scrape import Scraper
from loadgen.spec import PromptScale, ShardSpec
from schemas.catalog.endpoints import Endpoint
from schemas.catalog.loads import Load
from schemas.catalog.workloads import Workload
from schemas.errors import EndpointBusyError, RatecardError
from warehouse.home import Home, endpoint_lock

ENGINE_PACKAGES = ("gguf", "numpy", "tokenizers", "xllamacpp")
PROBE_TOKENS = 32
PATIENCE_S = 30.0
"""Longest wait for an endpoint's answer, of which only a few tokens are wanted."""
_LOOK_S = 0.05


async def endpoint_checks(home: Home, name: str, endpoint: Endpoint, scratch: Path) -> list[Check]:
    """Of one endpoint; a server that Ratecard launches itself need only be installed. `scratch` is a folder."""
    check = f"endpoint {name}"
    if endpoint.launch is not None:
        missing = [package for package in ENGINE_PACKAGES if find_spec(package) is None]
        if missing:
            return [Check(check, "failed", f"{', '.join(missing)} not installed", "pip install 'ratecard[demo]'")]
        return [Check(check, "ok", "its engine is installed; a night starts it")]
    for variable, what in ((endpoint.api_key_env, "its key"), (endpoint.proxy_auth_env, "USER:PASSWORD for its proxy")):
        if variable and not os.environ.get(variable):
            return [Check(check, "failed", f"{variable} is not set", f"export {variable}=… with {what}")]
    with ExitStack() as held:
        try:
            # a home that is not there yet holds no endpoint
            at = home if home.locks.is_dir() else Home(scratch)
            lock = held.enter_context(endpoint_lock(at, name, "doctor"))
        except EndpointBusyError as busy:
            return [Check(check, "warning", str(busy), "ask again when that run is done")]
        except OSError as error:
            found = f"not asked: a run may be measuring it, and its lock cannot be written ({error.strerror})"
            return [Check(check, "warning", found, "see data home, then ask again")]
        try:
            spec = probe_spec(_probe_plan(name, endpoint), 0, PromptScale(), scratch / name)
            waited_s = spec.target.timeout_s
            limit = f"the {waited_s:g} s that doctor waits" if waited_s < endpoint.timeout_s else "timeout_s"
            return [await _probe(check, spec, scratch / name, lock, limit), await _metrics(name, endpoint, spec)]
        except (RatecardError, OSError) as error:
            return [Check(check, "failed", str(error), "the message says what is missing")]


def _probe_plan(name: str, endpoint: Endpoint) -> RunPlan:
    plan = plan_run(
        suite="doctor",
        names=(name, "doctor", "doctor"),
        endpoint=endpoint,
        workload=Workload(input_tokens=PROBE_TOKENS, output_tokens=PROBE_TOKENS),
        load=Load(concurrency=[1], requests=1),
        night=datetime.now(UTC),
    )
    return replace(plan, target=replace(plan.target, timeout_s=min(plan.target.timeout_s, PATIENCE_S)))


async def _probe(check: str, spec: ShardSpec, folder: Path, lock: int, limit: str) -> Check:
    folder.mkdir()
    spec.write(folder / "spec.json")
    done = await run_worker(folder / "spec.json", lock, asyncio.Event(), lambda _: None)
    if not done["outcomes"].get("ok"):
        return Check(check, "failed", symptom(done["first_failure"]), remedy(spec.target, done["first_failure"], limit))
    rows = pl.read_parquet(done["parts"]).filter(pl.col("outcome") == "ok")
    good = rows.sort("token_chunks").row(-1, named=True)
    if good["output_tokens"] is None or good["input_tokens"] is None:
        return Check(
            check, "warning", f"answers and streams, sends no usage ({spec.target.url})",
            "turn on usage in streams (stream_options.include_usage) at the server: without it costs per token stay unknown",
        )  # fmt: skip
    if good["token_chunks"] == 1 and good["output_tokens"] > 1 and not good["merged_reads"]:
        return Check(
            check, "warning", f"answers, but all {good['output_tokens']} tokens came at once",
            "is there a proxy that collects the stream (nginx: proxy_buffering off)? Latency between tokens cannot be measured",
        )  # fmt: skip
    tokens = f"{good['input_tokens']} tokens in, {good['output_tokens']} out in {good['token_chunks']} chunks"
    return Check(check, "ok", f"answers, streams, sends usage: {tokens}")


async def _metrics(name: str, endpoint: Endpoint, spec: ShardSpec) -> Check:
    """Whether the engine tells of itself; a night goes without where it does not."""
    scraper = Scraper(
        spec.target.url,
        spec.identity,
        metrics_url=endpoint.metrics_url,
        headers=page_headers(spec.target),
        verify=endpoint.verify_tls,
    )
    enough = asyncio.Event()
    scraping = asyncio.create_task(scraper.run(enough))  # ends by itself where there is no page
    while not scraper.rows and not scraping.done():
        await asyncio.sleep(_LOOK_S)
    enough.set()
    await scraping
    if scraper.rows:
        return Check(f"metrics {name}", "ok", f"its Prometheus page is read as that of {scraper.rows[0]['source']}")
    where = endpoint.metrics_url or "/metrics beside the API"
    return Check(
        f"metrics {name}",
        "ok",
        f"no Prometheus page of a known engine answers in time ({where}): its queue and cache stay unknown",
    )

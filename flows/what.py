"""What `run` and `plan` are told to measure: a suite of the catalog, or any server by options alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows import catalogs
from flows.adhoc import adhoc_of, by_option, check_options
from flows.options import (
    SectionedOption,
    catalog_option,
    home_option,
    json_object,
    length,
    numbers,
    whole_numbers,
)
from flows.plans import plan_suites
from loadgen.plan import RunPlan
from schemas.catalog_files import load
from schemas.errors import CatalogError, UsageError


def _in(section: str, *names: str, **attributes: Any) -> Callable[..., Any]:
    return click.option(*names, cls=SectionedOption, section=section, **attributes)


_SERVER, _REQUESTS = "The server, instead of SUITE", "What the requests look like (with --url)"
_LOAD, _MONEY = "How hard to push (with --url)", "What it is worth (with --url)"
_FILE = click.Path(exists=True, dir_okay=False)
_POSITIVE, _COUNT = click.FloatRange(0, min_open=True), click.IntRange(1)

_WHAT = (
    click.argument("suite", required=False),
    click.option("--schedule", metavar="NAME", help="Instead of SUITE: every suite of the catalog with this schedule."),
    catalog_option,
    home_option,
    _in(_SERVER, "--url", metavar="URL", help="Any OpenAI-compatible server, with or without /v1; needs no catalog."),
    _in(_SERVER, "--model", metavar="NAME", help="Model name that the server knows."),
    _in(_SERVER, "--api", type=click.Choice(["chat", "completions", "responses"]), help="[default: chat]"),
    _in(_SERVER, "--api-key-env", metavar="NAME", help="Environment variable that holds the key."),
    _in(_SERVER, "--extra-body", metavar="JSON", callback=json_object, help='More request fields, as \'{"ignore_eos": true}\'.'),
    _in(_SERVER, "--timeout", metavar="S", type=_POSITIVE, help="Longest wait for one request.  [default: 600]"),
    _in(_SERVER, "--verify-tls/--no-verify-tls", default=None, help="Check the server's certificate.  [default: verify-tls]"),
    _in(_SERVER, "--proxy", metavar="URL", help="Go through this proxy; stamps are then the client's own."),
    _in(_SERVER, "--http2", is_flag=True, default=None, help="Speak HTTP/2; stamps are then the client's own."),
    _in(_SERVER, "--endpoint", metavar="NAME", help="Name in the history.  [default: from model and address]"),
    _in(_REQUESTS, "--input-tokens", metavar="N", callback=length, help="Prompt: N, uniform:100-900, normal:512,64 or lognormal:512,300.  [default: 512]"),
    _in(_REQUESTS, "--output-tokens", metavar="N", callback=length, help="Answer, likewise.  [default: 128]"),
    _in(_REQUESTS, "--shared-prefix", metavar="N", type=_COUNT, help="Tokens that all prompts begin with, to hit a prefix cache."),
    _in(_REQUESTS, "--turns", metavar="N", callback=length, help="Conversations of so many turns; --input-tokens is what a turn adds."),
    _in(_REQUESTS, "--think-time", metavar="S", type=click.FloatRange(0), help="Pause between an answer and the next turn.  [default: 0]"),
    _in(_REQUESTS, "--dataset", metavar="FILE", type=_FILE, help="Prompts of a file, ShareGPT or JSON lines."),
    _in(_REQUESTS, "--dataset-format", type=click.Choice(["sharegpt", "jsonl"]), help="[default: by the file's content]"),
    _in(_REQUESTS, "--trace", metavar="FILE", type=_FILE, help="Recorded arrivals and lengths, played again."),
    _in(_REQUESTS, "--trace-format", type=click.Choice(["azure", "mooncake", "burstgpt"])),
    _in(_REQUESTS, "--tokenizer", metavar="FILE", type=_FILE, help="A tokenizer.json, for prompts to the token.  [default: by the probe]"),
    _in(_REQUESTS, "--seed", metavar="N", type=click.IntRange(0), help="Same seed, same prompts.  [default: each run its own]"),
    _in(_LOAD, "--concurrency", metavar="N,N,…", callback=whole_numbers, help="Closed loop: requests in flight, a level each.  [default: 1,2,4,8,16]"),
    _in(_LOAD, "--rate", metavar="R,R,…", callback=numbers, help="Open loop: requests a second, a level each."),
    _in(_LOAD, "--arrivals", type=click.Choice(["constant", "poisson", "gamma", "ramp"]), help="Of an open loop.  [default: poisson]"),
    _in(_LOAD, "--burstiness", metavar="B", type=_POSITIVE, help="--arrivals gamma: 1 is Poisson, less is burstier."),
    _in(_LOAD, "--ramp-from", metavar="R", type=click.FloatRange(0), help="--arrivals ramp: rate at the start.  [default: 0]"),
    _in(_LOAD, "--speed", metavar="X,X,…", callback=numbers, help="--trace: so many times as fast as recorded, a level each.  [default: 1]"),
    _in(_LOAD, "--search", type=click.Choice(["saturate", "goodput"]), help="Find the levels: the throughput's knee, or the most that holds --slo."),
    _in(_LOAD, "--search-over", type=click.Choice(["concurrency", "rate"]), help="[default: concurrency]"),
    _in(_LOAD, "--search-max", metavar="N", type=_POSITIVE, help="Highest load to try.  [default: 1024]"),
    _in(_LOAD, "--requests", metavar="N", type=_COUNT, help="Requests a level, at least 7 x concurrency.  [default: 100; a trace: all]"),
    _in(_LOAD, "--duration", metavar="S", type=_POSITIVE, help="Or: seconds a level."),
    _in(_LOAD, "--warmup", metavar="N", type=click.IntRange(0), help="Requests before each level.  [default: the concurrency, or 5 s of the rate]"),
    _in(_LOAD, "--grace", metavar="S", type=click.FloatRange(0), help="Cut what is in flight so long after the last was sent.  [default: wait]"),
    _in(_LOAD, "--confidence", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="End a level early: mean rate known to +/- SHARE, as 0.05."),
    _in(_LOAD, "--cancel-share", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True), help="Share of requests that the client breaks off."),
    _in(_LOAD, "--cancel-after", metavar="S", type=click.FloatRange(0), help="… so long after sending."),
    _in(_LOAD, "--shards", metavar="N", type=_COUNT, help="Worker processes.  [default: cores - 1]"),
    _in(_MONEY, "--slo", metavar="NAME", help="SLO to size for.  [default: every SLO for all workloads]"),
    _in(_MONEY, "--peak-rps", metavar="R", type=_POSITIVE, help="Demand to size for.  [default: 10]"),
    _in(_MONEY, "--accelerator", metavar="NAME", help="Such as h200: which price plans apply."),
    _in(_MONEY, "--gpus-per-instance", metavar="N", type=_COUNT, help="[default: 1]"),
    _in(_MONEY, "--gpus-per-server", metavar="N", type=_COUNT, help="[default: 8]"),
)  # fmt: skip


def what(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options that say what to measure."""
    for option in reversed(_WHAT):
        command = option(command)
    return command


def planned(options: dict[str, Any], folder: Path) -> tuple[str | None, str | None, Path, list[RunPlan]]:
    """(suite, schedule, catalog folder, plans) that the options mean; a catalog for --url is written to `folder`.

    Raises:
        UsageError: the options contradict each other, or the catalog has mistakes.

    """
    suite, schedule, catalog = _catalog_of(options, folder)
    if options["url"] is None:
        read = load(catalog)
    else:
        try:
            read = load(catalog)
        except CatalogError as error:  # in files that are not the user's: told by option
            mistakes = dict.fromkeys(by_option(line) for line in str(error).splitlines())
            raise UsageError("\n".join(mistakes)) from None
    return suite, schedule, catalog, plan_suites(read, suite, schedule, datetime.now(UTC))


def _catalog_of(options: dict[str, Any], folder: Path) -> tuple[str | None, str | None, Path]:
    """(suite, schedule, catalog folder) that the options mean; a catalog for --url is written to `folder`."""
    base = catalogs.catalog_folder(options["catalog"])
    check_options(options)
    if options["url"] is None:
        return options["suite"], options["schedule"], base
    catalogs.write_adhoc(adhoc_of(options), base, folder)
    return catalogs.SUITE, None, folder

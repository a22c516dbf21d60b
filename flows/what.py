"""What `run` and `plan` are told to measure: a suite of the catalog, or any server by options alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows import catalogs
from flows.adhoc import adhoc_of, by_option, check_options
from flows.options import (
    COUNT,
    POSITIVE,
    catalog_option,
    home_option,
    in_section,
    json_object,
    length,
    numbers,
    whole_numbers,
)
from flows.plans import plan_suites
from loadgen.plan import RunPlan
from schemas.catalog_files import load
from schemas.errors import CatalogError, UsageError

_SERVER, _REQUESTS = "The server, instead of SUITE", "What the requests look like (with --url)"
_LOAD, _MONEY = "How hard to push (with --url)", "What it is worth (with --url)"
_FILE = click.Path(exists=True, dir_okay=False)

_WHAT = (
    click.argument("suite", required=False),
    click.option("--schedule", metavar="NAME", help="Instead of SUITE: every suite of the catalog with this schedule."),
    catalog_option,
    home_option,
    in_section(_SERVER, "--url", metavar="URL", help="Any OpenAI-compatible server, with or without /v1; needs no catalog."),
    in_section(_SERVER, "--model", metavar="NAME", help="Model name that the server knows."),
    in_section(_SERVER, "--api", type=click.Choice(["chat", "completions", "responses"]), help="[default: chat]"),
    in_section(_SERVER, "--api-key-env", metavar="NAME", help="Environment variable that holds the key."),
    in_section(_SERVER, "--extra-body", metavar="JSON", callback=json_object, help='More request fields, as \'{"ignore_eos": true}\'.'),
    in_section(_SERVER, "--timeout", metavar="S", type=POSITIVE, help="Longest wait for one request.  [default: 600]"),
    in_section(_SERVER, "--verify-tls/--no-verify-tls", default=None, help="Check the server's certificate.  [default: verify-tls]"),
    in_section(_SERVER, "--proxy", metavar="URL", help="Go through this proxy (http, https, socks5); stamps are then the client's own."),
    in_section(_SERVER, "--proxy-auth-env", metavar="NAME", help="Environment variable that holds USER:PASSWORD for the proxy."),
    in_section(_SERVER, "--http2", is_flag=True, default=None, help="Speak HTTP/2; stamps are then the client's own."),
    in_section(_SERVER, "--endpoint", metavar="NAME", help="Name in the history.  [default: from model and address]"),
    in_section(_REQUESTS, "--input-tokens", metavar="N", callback=length, help="Prompt: N, uniform:100-900, normal:512,64 or lognormal:512,300.  [default: 512]"),
    in_section(_REQUESTS, "--output-tokens", metavar="N", callback=length, help="Answer, likewise.  [default: 128]"),
    in_section(_REQUESTS, "--shared-prefix", metavar="N", type=COUNT, help="Tokens that all prompts begin with, to hit a prefix cache."),
    in_section(_REQUESTS, "--turns", metavar="N", callback=length, help="Conversations of so many turns; --input-tokens is what a turn adds."),
    in_section(_REQUESTS, "--think-time", metavar="S", type=click.FloatRange(0), help="Pause between an answer and the next turn.  [default: 0]"),
    in_section(_REQUESTS, "--dataset", metavar="FILE", type=_FILE, help="Prompts of a file, ShareGPT or JSON lines."),
    in_section(_REQUESTS, "--dataset-format", type=click.Choice(["sharegpt", "jsonl"]), help="[default: by the file's content]"),
    in_section(_REQUESTS, "--trace", metavar="FILE", type=_FILE, help="Recorded arrivals and lengths, played again."),
    in_section(_REQUESTS, "--trace-format", type=click.Choice(["azure", "mooncake", "burstgpt"])),
    in_section(_REQUESTS, "--tokenizer", metavar="FILE", type=_FILE, help="A tokenizer.json, for prompts to the token.  [default: by the probe]"),
    in_section(_REQUESTS, "--seed", metavar="N", type=click.IntRange(0), help="Same seed, same prompts.  [default: each run its own]"),
    in_section(_LOAD, "--concurrency", metavar="N,N,…", callback=whole_numbers, help="Closed loop: requests in flight, a level each.  [default: 1,2,4,8,16]"),
    in_section(_LOAD, "--rate", metavar="R,R,…", callback=numbers, help="Open loop: requests a second, a level each."),
    in_section(_LOAD, "--arrivals", type=click.Choice(["constant", "poisson", "gamma", "ramp"]), help="Of an open loop.  [default: poisson]"),
    in_section(_LOAD, "--burstiness", metavar="B", type=POSITIVE, help="--arrivals gamma: 1 is Poisson, less is burstier."),
    in_section(_LOAD, "--ramp-from", metavar="R", type=click.FloatRange(0), help="--arrivals ramp: rate at the start.  [default: 0]"),
    in_section(_LOAD, "--speed", metavar="X,X,…", callback=numbers, help="--trace: so many times as fast as recorded, a level each.  [default: 1]"),
    in_section(_LOAD, "--search", type=click.Choice(["saturate", "goodput"]), help="Find the levels: the throughput's knee, or the most that holds --slo."),
    in_section(_LOAD, "--search-over", type=click.Choice(["concurrency", "rate"]), help="[default: concurrency]"),
    in_section(_LOAD, "--search-max", metavar="N", type=POSITIVE, help="Highest load to try.  [default: 1024]"),
    in_section(_LOAD, "--requests", metavar="N", type=COUNT, help="Requests a level, at least 7 x concurrency.  [default: 100; a trace: all]"),
    in_section(_LOAD, "--duration", metavar="S", type=POSITIVE, help="Or: seconds a level."),
    in_section(_LOAD, "--warmup", metavar="N", type=click.IntRange(0), help="Requests before each level.  [default: the concurrency, or 5 s of the rate]"),
    in_section(_LOAD, "--grace", metavar="S", type=click.FloatRange(0), help="Cut what is in flight so long after the last was sent.  [default: wait]"),
    in_section(_LOAD, "--confidence", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="End a level early: mean rate known to +/- SHARE, as 0.05."),
    in_section(_LOAD, "--cancel-share", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True), help="Share of requests that the client breaks off."),
    in_section(_LOAD, "--cancel-after", metavar="S", type=click.FloatRange(0), help="… so long after sending."),
    in_section(_LOAD, "--shards", metavar="N", type=COUNT, help="Worker processes.  [default: cores - 1; of a closed loop, at least 32 in flight each]"),
    in_section(_MONEY, "--slo", metavar="NAME", help="SLO to size for.  [default: every SLO for all workloads]"),
    in_section(_MONEY, "--peak-rps", metavar="R", type=POSITIVE, help="Demand to size for.  [default: 10]"),
    in_section(_MONEY, "--accelerator", metavar="NAME", help="Such as h200: which price plans apply."),
    in_section(_MONEY, "--gpus-per-instance", metavar="N", type=COUNT, help="[default: 1]"),
    in_section(_MONEY, "--gpus-per-server", metavar="N", type=COUNT, help="[default: 8]"),
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

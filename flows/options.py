"""Options of the command line: those that several commands share, and what `run` and `plan` are told to measure."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from flows import catalogs
from flows.plans import plan_suites
from loadgen.plan import RunPlan
from schemas.catalog_files import load
from schemas.errors import CatalogError, UsageError

home_option = click.option("--home", metavar="DIR", help="Data home.  [default: RATECARD_HOME, else ./data]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of row objects.")
card_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: {run_ids, operating_points, rate_card}, lists of row objects."
)
catalog_option = click.option(
    "--catalog", metavar="DIR", help="Catalog folder.  [default: ./catalog if it is there, else the starter catalog]"
)


def _numbers(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[int] | None:
    """`1,2,4` as numbers."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"found {value!r}, expected numbers such as 1,2,4,8") from None


def instant(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """An ISO 8601 time; UTC where it names no zone."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"found {value!r}, expected ISO 8601 such as 2026-11-20T02:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _object(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, Any]:
    try:
        content = json.loads(value) if value else {}
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise click.BadParameter(f"found {value}, expected a JSON object")
    return content


_WHAT = (
    click.argument("suite", required=False),
    click.option("--url", metavar="URL", help="Any OpenAI-compatible server, with or without /v1; needs no catalog."),
    click.option("--model", metavar="NAME", help="Model name that the server knows (with --url)."),
    click.option("--api", type=click.Choice(["chat", "completions"]), default="chat", show_default=True),
    click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the key."),
    click.option("--concurrency", metavar="N,N,…", callback=_numbers, default="1,2,4,8,16", show_default=True, help="Closed-loop levels."),
    click.option("--requests", metavar="N", type=click.IntRange(1), help="Requests a level, at least 7 x concurrency.  [default: 100]"),
    click.option("--duration", metavar="S", type=click.FloatRange(0, min_open=True), help="Or: seconds a level."),
    click.option("--input-tokens", metavar="N", type=click.IntRange(1), default=512, show_default=True),
    click.option("--output-tokens", metavar="N", type=click.IntRange(1), default=128, show_default=True),
    click.option("--warmup", metavar="N", type=click.IntRange(0), help="Requests before each level.  [default: the concurrency]"),
    click.option("--seed", metavar="N", type=click.IntRange(0), help="Same seed, same prompts.  [default: each run its own]"),
    click.option("--endpoint", metavar="NAME", help="Name in the history.  [default: from model and address]"),
    click.option("--accelerator", metavar="NAME", help="Such as h200: which price plans apply."),
    click.option("--gpus-per-instance", metavar="N", type=click.IntRange(1), default=1, show_default=True),
    click.option("--gpus-per-server", metavar="N", type=click.IntRange(1), default=8, show_default=True),
    click.option("--extra-body", metavar="JSON", callback=_object, help='Extra request fields, such as \'{"ignore_eos": true}\'.'),
    click.option("--timeout", metavar="S", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True, help="Longest wait for one request."),
    click.option("--verify-tls/--no-verify-tls", default=True, show_default=True, help="Check the server's certificate."),
    click.option("--slo", metavar="NAME", help="SLO to size for.  [default: every SLO for all workloads]"),
    click.option("--peak-rps", metavar="R", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Demand to size for."),
    click.option("--schedule", metavar="NAME", help="Instead of SUITE: every suite of the catalog with this schedule."),
    catalog_option,
    home_option,
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
            mistakes = dict.fromkeys(_by_option(line) for line in str(error).splitlines())
            raise UsageError("\n".join(mistakes)) from None
    return suite, schedule, catalog, plan_suites(read, suite, schedule, datetime.now(UTC))


_OPTION_OF_FIELD = {
    "url": "--url", "model": "--model", "concurrency": "--concurrency", "requests": "--requests", "seed": "--seed",
    "duration_s": "--duration", "warmup_requests": "--warmup", "input_tokens": "--input-tokens",
    "output_tokens": "--output-tokens", "api_key_env": "--api-key-env", "accelerator": "--accelerator",
    "gpus_per_instance": "--gpus-per-instance", "gpus_per_server": "--gpus-per-server", "timeout_s": "--timeout",
    "peak_rps": "--peak-rps", "extra_body": "--extra-body", "[key]": "--endpoint",
}  # fmt: skip


def _by_option(line: str) -> str:
    """A mistake in a catalog file, `file:line: field: what`, as a mistake in an option."""
    field, _, what_is_wrong = line.split(":", 2)[-1].strip().partition(": ")
    option = next((o for f, o in _OPTION_OF_FIELD.items() if field.endswith(f)), None)
    return f"{option}: {what_is_wrong}" if option else what_is_wrong


def _catalog_of(options: dict[str, Any], folder: Path) -> tuple[str | None, str | None, Path]:
    """(suite, schedule, catalog folder) that the options mean; a catalog for --url is written to `folder`."""
    base = catalogs.catalog_folder(options["catalog"])
    if options["url"] is None:
        if options["suite"] is None and options["schedule"] is None:
            raise UsageError("say what to measure: a suite of the catalog, or --url URL --model NAME")
        return options["suite"], options["schedule"], base
    if options["suite"] is not None or options["schedule"] is not None:
        raise UsageError("--url measures one server without a suite: give one or the other")
    if options["model"] is None:
        raise UsageError("--url needs --model NAME: the name that the server knows (curl URL/v1/models lists them)")
    if options["requests"] is not None and options["duration"] is not None:
        raise UsageError("give --requests or --duration, not both")
    key = options["api_key_env"]
    if key and not os.environ.get(key):
        raise UsageError(f"--api-key-env {key}: there is no such environment variable, or it is empty")
    catalogs.write_adhoc(
        catalogs.AdHoc(
            url=options["url"],
            model=options["model"],
            api=options["api"],
            api_key_env=options["api_key_env"],
            concurrency=options["concurrency"],
            requests=options["requests"] or (None if options["duration"] else 100),
            duration_s=options["duration"],
            input_tokens=options["input_tokens"],
            output_tokens=options["output_tokens"],
            warmup=options["warmup"],
            seed=options["seed"],
            name=options["endpoint"],
            accelerator=options["accelerator"],
            gpus_per_instance=options["gpus_per_instance"],
            gpus_per_server=options["gpus_per_server"],
            extra_body=options["extra_body"],
            timeout_s=options["timeout"],
            verify_tls=options["verify_tls"],
            slo=options["slo"],
            peak_rps=options["peak_rps"],
        ),
        base,
        folder,
    )
    return catalogs.SUITE, None, folder

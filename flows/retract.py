"""`ratecard retract`: marks a run, keeps it, and builds the warehouse without it being chosen for anything."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from flows.options import COUNT, home_option

if TYPE_CHECKING:
    from warehouse.corrections import Correction


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--why", metavar="TEXT", required=True, help="The reason; it stands in `runs` from then on.")
@click.option("--attempt", metavar="N", type=COUNT, help="That attempt alone.  [default: every attempt of the run]")
@click.option("--undo", is_flag=True, help="Take a retraction back: the run counts again.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of row objects, one an attempt.")
def retract(run: str, why: str, attempt: int | None, undo: bool, home: str | None, as_json: bool) -> None:
    """Retract RUN (its id, or the beginning of it): kept, shown as retracted, never chosen, never a baseline.

    Its traces stay, its operating points say `retracted`, the other runs of its night are as they were. The same night
    can be measured again afterwards and supersedes it: `ratecard run … --night TIME`.

    \b
    Examples:
      ratecard retract 2026-11-20_llama-h100_chat_1f0c6a2b --why "the engine ran without its cache"
      ratecard retract 2026-11-20_llama --attempt 1 --why "another job on the GPU"
      ratecard retract 2026-11-20_llama --undo --why "it was the other host"
    """
    from reports.page import write_report
    from reports.tables import to_json
    from schemas.errors import RatecardError
    from warehouse.build import build
    from warehouse.corrections import being_measured, restore, retract
    from warehouse.home import resolve

    at = resolve(home)
    said = (restore if undo else retract)(at, run, why, attempt)
    if as_json:
        click.echo(to_json([_row(correction) for correction in said]))
    else:
        for correction in said:
            click.echo(_sentence(correction))
    for number in being_measured(at).get(said[0].run_id, []) if attempt is None else []:
        click.echo(f"{said[0].run_id} attempt {number} is being measured: nothing is said of it", err=True)
    try:
        build(at)
        write_report(at)
    except RatecardError as error:
        raise RatecardError(f"that is on record, but the warehouse does not show it yet: {error}") from error


def _row(correction: "Correction") -> dict[str, Any]:
    word = asdict(correction.word) if correction.word else {"retracted": False, "at": None, "why": None, "by": None}
    return {"run_id": correction.run_id, "attempt": correction.attempt, "changed": correction.changed} | word


def _sentence(correction: "Correction") -> str:
    name, word = f"{correction.run_id} attempt {correction.attempt}", correction.word
    if word is None:
        return f"{name} is not retracted: nothing to take back"
    state = "retracted" if word.retracted else "counts again"
    if correction.changed:
        return f"{name}: {state}"
    return f"{name}: {state} already, since {word.at[:19]} UTC by {word.by}: {word.why}"

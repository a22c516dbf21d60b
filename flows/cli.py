"""The `ratecard` command: its subcommands, and what an error of ours looks like.

Exit codes: 0 ok, 1 the work failed, 2 wrong usage or catalog, 3 a regression or gate tripped.
"""

from typing import Any

import click

from flows.asking import build, report, sql
from flows.feeds import publish
from flows.gate import gate
from flows.importing import import_results
from flows.keep import retention
from flows.measuring import demo, plan, run
from flows.retract import retract
from flows.setup import doctor, init, serve
from flows.size import size
from flows.store import store
from schemas.errors import RatecardError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
COMMANDS = (
    *(demo, init, plan, run, doctor, serve),
    *(build, sql, report, size, gate, publish, import_results, retract, retention, store),
)


class _Group(click.Group):
    """Shows an error of ours as its message and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RatecardError as error:
            click.echo(f"ratecard: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(package_name="ratecard", prog_name="ratecard")
def cli() -> None:
    """Measure LLM endpoints; see operating points, server counts and cost per million tokens."""


for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Entry point of the `ratecard` command."""
    cli(prog_name="ratecard")

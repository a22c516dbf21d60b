"""What options of the command line share: those of several commands, how values are read, sections in --help."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

home_option = click.option("--home", metavar="DIR", help="Data home.  [default: RATECARD_HOME, else ./data]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of row objects.")
card_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: {run_ids, operating_points, rate_card}, lists of row objects."
)
POSITIVE, COUNT = click.FloatRange(0, min_open=True), click.IntRange(1)
catalog_option = click.option(
    "--catalog",
    metavar="DIR",
    help="Catalog folder.  [default: RATECARD_CATALOG, else ./catalog, else the starter catalog]",
)


calibration_option = click.option(
    "--calibration/--no-calibration",
    "calibrate",
    default=True,
    show_default=True,
    help="First find out the client's own error (about 10 s).",
)


class SectionedOption(click.Option):
    """An option that --help shows under the title `section`."""

    def __init__(self, *arguments: Any, section: str, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.section = section


def in_section(section: str, *names: str, **attributes: Any) -> Callable[..., Any]:
    """`click.option` under the title `section`."""
    return click.option(*names, cls=SectionedOption, section=section, **attributes)


class SectionedCommand(click.Command):
    """A command whose --help has a title for each section of its options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def whole_numbers(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[int] | None:
    """`1,2,4` as numbers."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"found {value!r}, expected numbers such as 1,2,4,8") from None


def numbers(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[float] | None:
    """`0.5,1,2` as numbers."""
    if value is None:
        return None
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"found {value!r}, expected numbers such as 0.5,1,2") from None


_LENGTH = re.compile(
    r"(?P<tokens>\d+)|uniform:(?P<min>\d+)-(?P<max>\d+)"
    r"|(?P<spread>normal|lognormal):(?P<mean>\d+(?:\.\d+)?),(?P<stddev>\d+(?:\.\d+)?)"
)


def length(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int | dict[str, Any] | None:
    """A length in tokens as the catalog has it, from its short form."""
    if value is None:
        return None
    found = _LENGTH.fullmatch(value.strip())
    if found is None:
        raise click.BadParameter(
            f"found {value!r}, expected tokens such as 512, uniform:100-900, normal:512,64 or lognormal:512,300"
        )
    if found["tokens"]:
        return int(found["tokens"])
    if found["min"]:
        return {"distribution": "uniform", "min": int(found["min"]), "max": int(found["max"])}
    return {"distribution": found["spread"], "mean": float(found["mean"]), "stddev": float(found["stddev"])}


def instant(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """An ISO 8601 time; UTC where it names no zone."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"found {value!r}, expected ISO 8601 such as 2026-11-20T02:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def json_object(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """A JSON object."""
    if value is None:
        return None
    try:
        content = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise click.BadParameter(f"found {value}, expected a JSON object")
    return content

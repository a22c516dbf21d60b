"""What becomes of raw traces as they get older: `retention.yaml` of the catalog, rules that say when and what."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.catalog_base import Model, Name, NonNegativeInt, PositiveInt
from schemas.catalog_files import RETENTION, readable
from schemas.catalog_section import Section
from schemas.columns import LANDED_TABLES, REQUEST_TRACES
from schemas.errors import CatalogError

_TABLES = tuple(table.name for table in LANDED_TABLES)


class Rule(Model):
    """One rule: which tables of which runs, and what is done to them after how many days."""

    tables: list[str] = Field(default_factory=list, description="Empty: all")
    suites: list[Name] = Field(default_factory=list, description="Empty: all")
    endpoints: list[Name] = Field(default_factory=list, description="Empty: all")
    compact_after_days: NonNegativeInt | None = None
    thin_after_days: PositiveInt | None = None
    keep_share_of_requests: Annotated[float, Field(gt=0, lt=1)] | None = None
    drop_after_days: PositiveInt | None = None

    @field_validator("tables")
    @classmethod
    def _known(cls, tables: list[str]) -> list[str]:
        if unknown := [name for name in tables if name not in _TABLES]:
            raise ValueError(f"found {unknown[0]!r}, expected any of {', '.join(_TABLES)}")
        return tables

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.thin_after_days is None) != (self.keep_share_of_requests is None):
            raise ValueError("thin_after_days and keep_share_of_requests go together: give both or none")
        if self.thin_after_days is not None and not self.covers(REQUEST_TRACES.name):
            raise ValueError(f"only {REQUEST_TRACES.name} can be thinned, and tables does not list it")
        if self.drop_after_days is not None:
            for name in ("compact_after_days", "thin_after_days"):
                days = getattr(self, name)
                if days is not None and days >= self.drop_after_days:
                    raise ValueError(
                        f"{name} ({days}) must come before drop_after_days ({self.drop_after_days}): nothing is left then"
                    )
        if all(days is None for days in (self.compact_after_days, self.thin_after_days, self.drop_after_days)):
            raise ValueError(
                "does nothing: expected compact_after_days, thin_after_days with keep_share_of_requests, or drop_after_days"
            )
        return self

    def covers(self, table: str) -> bool:
        """Whether the rule is about `table`."""
        return not self.tables or table in self.tables

    def fits(self, suite: str, endpoint: str, table: str) -> bool:
        """Whether the rule is about a table of a run."""
        of_suite = not self.suites or suite in self.suites
        return of_suite and (not self.endpoints or endpoint in self.endpoints) and self.covers(table)


class Policy(Model):
    """All rules, in order: the first that fits a run and a table decides; without one nothing is done."""

    rules: dict[Name, Rule] = Field(default_factory=dict)

    def rule_for(self, suite: str, endpoint: str, table: str) -> tuple[str, Rule] | None:
        """The rule that decides, with its name."""
        return next(((name, rule) for name, rule in self.rules.items() if rule.fits(suite, endpoint, table)), None)


def load_policy(folder: Path) -> Policy:
    """The policy of a catalog folder; without a `retention.yaml` there is no rule.

    Raises:
        CatalogError: there is no such folder, or the file has a mistake; file, line and field are named.

    """
    if not folder.is_dir():
        raise CatalogError(f"{folder}: no such folder: `ratecard init DIR` writes a catalog")
    path = folder / f"{RETENTION}.yaml"
    if not path.exists():
        return Policy()
    section = Section(path)
    problems = list(section.problems)
    try:
        policy = Policy.model_validate({"rules": section.data})
    except ValidationError as error:
        problems += readable(error, {"rules": section})
    if problems:
        raise CatalogError("\n".join(problems))
    return policy

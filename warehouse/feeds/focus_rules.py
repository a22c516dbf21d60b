"""Whether a cost-and-usage file keeps FOCUS 1.2: presence, types, formats, nulls, values, and how columns fit together.

Rules carry the names of the specification's requirements model (`BilledCost-C-003-M`), those on presence, format and
periods the name of the column or attribute. Left out is what no file can show, that an invoice comes to the same, and
what concerns columns that the export does not have.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from schemas.focus import FOCUS_COLUMNS, FocusColumn
from transforms.memory import in_memory
from warehouse.feeds.source import literal, quoted


@dataclass(frozen=True)
class Violation:
    """A rule that some rows break, or the file as a whole (0 rows)."""

    rule: str
    says: str
    rows: int = 0

    def __str__(self) -> str:
        """The line that a user reads."""
        return f"{self.rule}: {self.says}" + (f" ({self.rows} rows break it)" if self.rows else "")


@dataclass(frozen=True)
class Rule:
    """`breaks` is SQL that is true of a row that breaks it."""

    name: str
    says: str
    breaks: str


def violations(path: Path, suffix: str = "") -> list[Violation]:
    """What a .csv or .parquet file breaks; an empty list: it conforms. `suffix` where its name does not tell."""
    as_text = (suffix or path.suffix) == ".csv"
    options = ", header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"'" if as_text else ""
    with in_memory() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(
            f"create table written as from {'read_csv' if as_text else 'read_parquet'}({literal(str(path))}{options})"
        )
        types = {row[0]: str(row[1]) for row in con.execute("describe written").fetchall()}
        missing = list(_missing(types, as_text))
        if missing:
            return missing
        con.execute(f"create view charges as select {', '.join(map(_typed, FOCUS_COLUMNS))} from written")
        return [
            *(_broken(con, "written", _formats()) if as_text else ()),
            *_broken(con, "charges", (*_of_columns(), *TOGETHER)),
            *_two_parents(con),
        ]


def _broken(con: duckdb.DuckDBPyConnection, source: str, rules: Iterable[Rule]) -> Iterator[Violation]:
    """All rules in one pass over the file."""
    asked = list(rules)
    counts = ", ".join(f"count(*) filter (where {rule.breaks})" for rule in asked)
    row = con.execute(f"select {counts} from {source}").fetchone() or ()
    for rule, rows in zip(asked, row, strict=True):
        if rows:
            yield Violation(rule.name, rule.says, rows)


def _two_parents(con: duckdb.DuckDBPyConnection) -> Iterator[Violation]:
    """Rows whose price has two SKUs, or whose service two categories."""
    for name, child, parent in PARENTS:
        row = con.execute(
            f'select sum(n) from (select count(*) as n from charges group by "{child}" having count(distinct "{parent}") > 1)'
        ).fetchone()
        if row and row[0]:
            yield Violation(name, f"{child} must have one {parent}", row[0])


def _missing(types: dict[str, str], as_text: bool) -> Iterator[Violation]:
    """Columns that must be there and are not, or are of another type, or have a name that no column may have."""
    known = {column.name: column for column in FOCUS_COLUMNS}
    for name, column in known.items():
        if name not in types:
            yield Violation(f"{name} presence", f"{name}, which is {column.level}, is not in the file")
        elif not as_text and types[name].split("(")[0] not in _TYPES[column.kind]:
            yield Violation(f"{name} type", f"{name} must be of type {column.kind}, found {types[name]}")
    for name in types:
        if name not in known and not name.startswith("x_"):
            yield Violation("ColumnHandling-A-010-M", f"{name} is not of FOCUS, and its name does not start with x_")


_TYPES = {
    "string": ("VARCHAR",),
    "json": ("VARCHAR", "JSON"),
    "decimal": ("DOUBLE", "DECIMAL", "BIGINT", "INTEGER"),
    "datetime": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}


def _typed(column: FocusColumn) -> str:
    """The column by its kind, whatever it was read as; what does not fit was found by its format."""
    kind = {"decimal": "double", "datetime": "timestamp"}.get(column.kind, "varchar")
    return f"try_cast({quoted(column.name)} as {kind}) as {quoted(column.name)}"


_FORMATS = {
    "decimal": (
        "NumericFormat",
        "a number without signs, units or commas but a minus sign and a decimal point",
        r"^-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$",
    ),
    "datetime": (
        "DateTimeFormat",
        "a time in UTC as YYYY-MM-DDTHH:mm:ssZ",
        r"^[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$",
    ),
}


def _formats() -> Iterator[Rule]:
    """How numbers and times are written in a text file."""
    for column in FOCUS_COLUMNS:
        if column.kind in _FORMATS:
            rule, says, pattern = _FORMATS[column.kind]
            breaks = f"not regexp_full_match({quoted(column.name)}, {literal(pattern)})"
            yield Rule(f"{column.name} {rule}", f"{column.name} must be {says}", breaks)


def _of_columns() -> Iterator[Rule]:
    """Nulls, allowed values, ranges and empty texts, column by column."""
    for column in FOCUS_COLUMNS:
        name = quoted(column.name)
        if not column.nullable:
            yield Rule(f"{column.name} nullability", f"{column.name} must not be null", f"{name} is null")
        if column.allowed:
            allowed = ", ".join(map(literal, column.allowed))
            yield Rule(f"{column.name} values", f"{column.name} must be one of {allowed}", f"{name} not in ({allowed})")
        if column.non_negative:
            yield Rule(f"{column.name} range", f"{column.name} must not be negative", f"{name} < 0")
        if column.kind == "decimal":
            yield Rule(f"{column.name} NumericFormat", f"{column.name} must be a number", f"not isfinite({name})")
        if column.kind == "string":
            says = f"{column.name} must be null where it has no value, not an empty text"
            yield Rule(f"{column.name} NullHandling", says, f"trim({name}) = ''")
        if column.kind == "json":
            # NULL where it is no JSON at all
            value = f"case when json_valid({name}) then {name} end"
            yield Rule(
                f"{column.name} KeyValueFormat",
                f"{column.name} must be a JSON object of plain values",
                f"{name} is not null and not coalesce(json_type({value}) = 'OBJECT' and len(list_filter(json_keys({value}), "
                f"lambda k: json_type({value}, concat('$.\"', k, '\"')) in ('OBJECT', 'ARRAY'))) = 0, false)",
            )


_UNIT = (
    "^([0-9]+ )?[A-Z][A-Za-z]*(-(Years|Months|Days|Hours|Minutes|Seconds)"
    "|/([0-9]+ )?(Year|Month|Day|Hour|Minute|Second)s?)?$"
)
_CHARGED = "\"ChargeCategory\" in ('Usage', 'Purchase') and \"ChargeClass\" is null"


def _of_unit(column: str) -> tuple[Rule, ...]:
    quantity, unit = f'"{column}Quantity"', f'"{column}Unit"'
    return (
        Rule(
            f"{column}Unit nullability",
            f"{column}Unit must be there where {column}Quantity is, and nowhere else",
            f"({unit} is null) <> ({quantity} is null)",
        ),
        Rule(
            f"{column}Unit UnitFormat",
            f"{column}Unit should be a unit as UnitFormat writes it",
            f"not regexp_full_match({unit}, {literal(_UNIT)})",
        ),
    )


TOGETHER = (
    *(
        Rule(
            f"{name} nullability",
            f"a charge for usage or a purchase needs a {name}",
            f'{_CHARGED} and "{name}" is null',
        )
        for name in ("ListUnitPrice", "PricingCategory", "PricingQuantity", "SkuId", "SkuPriceId")
    ),
    Rule(
        "ConsumedQuantity-C-004-C",
        "only Usage has a ConsumedQuantity",
        '"ChargeCategory" <> \'Usage\' and "ConsumedQuantity" is not null',
    ),
    Rule(
        "ConsumedQuantity-C-006-C",
        "Usage needs a ConsumedQuantity",
        '"ChargeCategory" = \'Usage\' and "ChargeClass" is null and "ConsumedQuantity" is null',
    ),
    *_of_unit("Pricing"),
    *_of_unit("Consumed"),
    Rule(
        "ListCost-C-009-C",
        "ListUnitPrice x PricingQuantity must be ListCost",
        '"ListUnitPrice" * "PricingQuantity" <> "ListCost" and "ChargeClass" is null',
    ),
    Rule(
        "ContractedCost-C-008-C",
        "ContractedCost must be BilledCost where no unit price was contracted",
        '"ContractedCost" <> "BilledCost"',
    ),
    Rule(
        "BillingCurrency-C-003-M",
        "BillingCurrency must be three letters of ISO 4217",
        "not regexp_full_match(\"BillingCurrency\", '^[A-Z]{3}$')",
    ),
    Rule("ChargePeriod", "a charge must end after it starts", '"ChargePeriodEnd" <= "ChargePeriodStart"'),
    Rule("BillingPeriod", "a billing period must end after it starts", '"BillingPeriodEnd" <= "BillingPeriodStart"'),
    Rule(
        "ChargePeriod in BillingPeriod",
        "a charge must lie in its billing period",
        '"ChargePeriodStart" < "BillingPeriodStart" or "ChargePeriodEnd" > "BillingPeriodEnd"',
    ),
    Rule(
        "ChargeFrequency-C-005-C",
        "a purchase is not Usage-Based",
        "\"ChargeCategory\" = 'Purchase' and \"ChargeFrequency\" = 'Usage-Based'",
    ),
    Rule(
        "ResourceName-C-006-C",
        "ResourceName must be null where ResourceId is, and not repeat it",
        'coalesce("ResourceName" = "ResourceId", "ResourceName" is not null)',
    ),
    *(
        Rule(
            f"{one}-C-005-C",
            f"{one} must be there where {other} is, and nowhere else",
            f'("{one}" is null) <> ("{other}" is null)',
        )
        for one, other in (("ResourceType", "ResourceId"), ("SubAccountName", "SubAccountId"))
    ),
    *(
        Rule(f"{one} nullability", f"{one} must be null where {other} is", f'"{other}" is null and "{one}" is not null')
        for one, other in (
            ("SkuMeter", "SkuId"),
            ("SkuPriceDetails", "SkuPriceId"),
            ("CommitmentDiscountStatus", "CommitmentDiscountId"),
        )
    ),
)
"""What columns ask of each other."""

PARENTS = (
    ("SkuPriceId parent", "SkuPriceId", "SkuId"),
    ("ServiceName-C-005-C", "ServiceName", "ServiceCategory"),
)
"""What has one parent: the rule, the child, the parent."""

"""The FOCUS export: every dollar of a fleet's day in one charge, and every rule of FOCUS 1.2 kept."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from schemas.errors import FeedError, LandingError, UsageError
from schemas.focus import FOCUS_COLUMNS
from tests.curated import fleet, publish, together
from warehouse.feeds import focus, focus_rules
from warehouse.feeds.focus import Choice, export
from warehouse.feeds.focus_rules import violations
from warehouse.home import Home

DAY = date(2026, 11, 20)


def charges(home: Home, target: Path, choice: Choice | None = None) -> pl.DataFrame:
    export(home, target, choice)
    return pl.read_parquet(target)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return publish(tmp_path / "home", fleet(DAY))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "focus.parquet"


def test_a_day_is_a_365th_of_each_bucket_with_the_hours_that_it_took(home: Home, target: Path) -> None:
    rows = charges(home, target)
    # 3 servers run 72 hours a day at 87,500 / 8760 = $9.98858 an hour. The buckets of the $262,500: stranded 43,750 is
    # a sixth, so 12 hours; idle 131,250 a half, 36; input 21,875 a twelfth, 6; output 65,625 a quarter, 18
    found = {row["x_Bucket"]: (row["EffectiveCost"], row["PricingQuantity"]) for row in rows.iter_rows(named=True)}
    assert found == {
        "stranded": (pytest.approx(43_750 / 365), pytest.approx(12)),
        "idle": (pytest.approx(131_250 / 365), pytest.approx(36)),
        "input": (pytest.approx(21_875 / 365), pytest.approx(6)),
        "output": (pytest.approx(65_625 / 365), pytest.approx(18)),
    }
    assert rows["PricingUnit"].unique().to_list() == ["Server-Hours"]
    assert rows["ListUnitPrice"].to_list() == pytest.approx([9.988584474885844] * 4)
    assert rows["EffectiveCost"].sum() == pytest.approx(262_500 / 365, rel=1e-12)
    for cost in ("BilledCost", "ListCost", "ContractedCost"):
        assert rows[cost].to_list() == rows["EffectiveCost"].to_list()


def test_what_was_consumed_is_tokens_where_work_was_done_and_hours_elsewhere(home: Home, target: Path) -> None:
    found = {
        row["x_Bucket"]: (row["ConsumedQuantity"], row["ConsumedUnit"])
        for row in charges(home, target).iter_rows(named=True)
    }
    # 40 served requests a second are 3,456,000 a day, with 750 fresh input tokens and 1000 output tokens each:
    # of 900 served ones 900,000 tokens came in, 225,000 of them cached
    assert found == {
        "input": (pytest.approx(3_456_000 * 750), "Tokens"),
        "output": (pytest.approx(3_456_000 * 1000), "Tokens"),
        "idle": (pytest.approx(36), "Server-Hours"),
        "stranded": (pytest.approx(12), "Server-Hours"),
    }


def test_failed_requests_are_counted_as_requests(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    amounts = {"failed": 13_125.0, "idle": 118_125.0}
    rows["cost_ledger"] = [row | {"usd": amounts.get(row["bucket"], row["usd"])} for row in rows["cost_ledger"]]
    publish(home.root, rows)
    [failed] = charges(home, target).filter(x_Bucket="failed").iter_rows(named=True)
    # for each 900 served requests 100 failed: 3,456,000 / 9
    assert (failed["ConsumedQuantity"], failed["ConsumedUnit"]) == (pytest.approx(384_000), "Requests")


def test_a_fleet_whose_requests_were_not_counted_consumes_hours(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    rows["time_shares"] = []
    publish(home.root, rows)
    found = charges(home, target)
    assert found["ConsumedUnit"].unique().to_list() == ["Server-Hours"]
    assert found["ConsumedQuantity"].to_list() == found["PricingQuantity"].to_list()


def test_an_api_is_priced_by_the_request(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    api = {"price_plan": "api", "price_kind": "api", "fleet_year_usd": 5_045_760.0}
    rows["cost_ledger"] = [
        {**row, **api, "usd": 2_522_880.0} for row in rows["cost_ledger"] if row["bucket"] in ("input", "output")
    ]
    rows["cost_per_million_tokens"] = [
        {**row, **api, "priced_unit": "request", "priced_units": None, "unit_year_usd": None} for row in rows["cost_per_million_tokens"]
    ]  # fmt: skip
    publish(home.root, rows)
    found = charges(home, target)
    # 40 rps x 31,536,000 s = 1,261,440,000 requests for $5,045,760: $0.004 each; half of a day's 3,456,000 a bucket
    assert found["ListUnitPrice"].to_list() == pytest.approx([0.004] * 2)
    assert found["PricingQuantity"].to_list() == pytest.approx([1_728_000] * 2)
    assert found["PricingUnit"].unique().to_list() == ["Requests"]


def test_spot_is_dynamic_and_everything_else_standard(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    rows["cost_per_million_tokens"] = [
        row | {"pricing_category": "spot", "rent_unit": "gpu"} for row in rows["cost_per_million_tokens"]
    ]
    assert charges(home, target)["PricingCategory"].unique().to_list() == ["Standard"]
    publish(home.root, rows)
    found = charges(home, target)
    assert found["PricingCategory"].unique().to_list() == ["Dynamic"]
    assert found["SkuPriceDetails"][0] == '{"x_PriceKind":"own","x_RentUnit":"gpu","x_PricingCategory":"spot"}'


def test_names_times_and_identities_of_a_charge(home: Home, target: Path) -> None:
    [row] = (
        charges(home, target)
        .filter(x_Bucket="idle")
        .select(pl.exclude("^.*Cost$|^.*Quantity$|^.*Price$"))
        .iter_rows(named=True)
    )
    found = {name: value.isoformat(" ") if name.endswith(("Start", "End")) else value for name, value in row.items()}
    assert found | {"x_PriceSource": "NVIDIA TCO post, 2025", "SkuPriceDetails": None} == {
        "BillingAccountId": "own", "BillingAccountName": None, "BillingCurrency": "USD",
        "BillingPeriodStart": "2026-11-01 00:00:00", "BillingPeriodEnd": "2026-12-01 00:00:00",
        "ChargePeriodStart": "2026-11-20 00:00:00", "ChargePeriodEnd": "2026-11-21 00:00:00",
        "ChargeCategory": "Usage", "ChargeClass": None, "ChargeDescription": "idle of llama for chat, plan own",
        "ChargeFrequency": "Usage-Based", "CommitmentDiscountId": None, "CommitmentDiscountStatus": None,
        "ConsumedUnit": "Server-Hours", "InvoiceId": None, "InvoiceIssuerName": "Ratecard", "PricingCategory": "Standard",
        "PricingCurrency": "USD", "PricingUnit": "Server-Hours", "ProviderName": "Ratecard", "PublisherName": "Ratecard",
        "ResourceId": "chat/llama", "ResourceName": None, "ResourceType": "Fleet", "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "LLM inference", "ServiceSubcategory": "Generative AI", "SkuId": "llama/idle", "SkuMeter": "idle",
        "SkuPriceDetails": None, "SkuPriceId": "llama/idle/own", "SubAccountId": "chat", "SubAccountName": "assistant",
        "x_AllocationMethod": "price_ratio", "x_Bucket": "idle", "x_Demand": "chat", "x_Endpoint": "llama",
        "x_FleetId": "chat/llama/2026-11-20T02:00:00", "x_MeanBasis": "x", "x_MetricVersion": 1, "x_Model": "llama-70b",
        "x_OperatingPointId": "p-chat/llama/2026-11-20T02:00:00", "x_PriceKind": "own", "x_PricePlan": "own",
        "x_PriceSource": "NVIDIA TCO post, 2025", "x_RunId": None, "x_Slo": "s", "x_Workload": "x",
    }  # fmt: skip


def test_december_ends_with_the_year(home: Home, target: Path) -> None:
    publish(home.root, fleet(date(2026, 12, 31)))
    found = charges(home, target)
    assert str(found["BillingPeriodEnd"][0]) == str(found["ChargePeriodEnd"][0]) == "2027-01-01 00:00:00"


def test_of_two_nights_of_a_day_the_last_one_is_the_day(home: Home, target: Path) -> None:
    publish(home.root, together(fleet(DAY, hour=2), fleet(DAY, hour=14)))
    found = charges(home, target)
    assert found["x_FleetId"].unique().to_list() == ["chat/llama/2026-11-20T14:00:00"]
    assert found["EffectiveCost"].sum() == pytest.approx(262_500 / 365)


def test_of_two_allocations_one_is_taken_so_that_no_dollar_is_there_twice(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    for name in ("cost_ledger", "cost_per_million_tokens"):
        rows[name] += [row | {"allocation_method": "processor_sharing"} for row in rows[name]]
    publish(home.root, rows)
    for method, expected in (("processor_sharing",) * 2, ("price_ratio",) * 2):
        found = charges(home, target, Choice(method=method))
        assert found["x_AllocationMethod"].unique().to_list() == [expected]
        assert found["EffectiveCost"].sum() == pytest.approx(262_500 / 365)


def test_money_that_could_not_be_split_is_a_charge_too(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    unknown = [row | {"usd": None} for row in rows["cost_ledger"] if row["bucket"] in ("input", "output")]
    known = [row for row in rows["cost_ledger"] if row["bucket"] not in ("input", "output")]
    rows["cost_ledger"] = [*known, *unknown, {**known[0], "bucket": "unallocated", "usd": 87_500.0}]
    publish(home.root, rows)
    found = charges(home, target)
    assert set(found["x_Bucket"]) == {"stranded", "idle", "unallocated"}
    assert found["EffectiveCost"].sum() == pytest.approx(262_500 / 365)


def test_plans_endpoints_demands_and_days_can_be_chosen(home: Home, target: Path) -> None:
    other = fleet(DAY, endpoint="qwen", demand="search")
    rows = together(fleet(DAY), other, fleet(date(2026, 11, 21)))
    publish(home.root, rows)
    assert charges(home, target).height == 12
    assert set(charges(home, target, Choice(endpoints=["qwen"]))["x_Demand"]) == {"search"}
    assert set(charges(home, target, Choice(demands=["chat"]))["x_Endpoint"]) == {"llama"}
    with pytest.raises(UsageError, match="no price plan in the ledger is called onw: choose from own"):
        export(home, target, Choice(price_plans=["onw"]))
    assert charges(home, target, Choice(since=date(2026, 11, 22))).height == 0
    assert charges(home, target, Choice(since=date(2026, 11, 21))).height == 4
    assert charges(home, target, Choice(until=date(2026, 11, 20))).height == 8


def test_csv_and_parquet_hold_the_same_charges(home: Home, target: Path) -> None:
    text = target.with_suffix(".csv")
    made = export(home, text)
    assert (made.rows, made.days, made.first_day, made.last_day, made.price_plans) == (
        4,
        1,
        "2026-11-20",
        "2026-11-20",
        ("own",),
    )
    names = ", ".join(
        f'cast("{c.name}" as {"double" if c.kind == "decimal" else "timestamp" if c.kind == "datetime" else "varchar"})'
        for c in FOCUS_COLUMNS
    )
    export(home, target)
    as_text, as_parquet = (
        duckdb.sql(f"select {names} from {source}('{path}'{more}) order by all").fetchall()
        for source, path, more in (("read_csv", text, ", all_varchar = true"), ("read_parquet", target, ""))
    )
    assert as_text == as_parquet
    assert text.read_text().splitlines()[0] == ",".join(column.name for column in FOCUS_COLUMNS)
    assert ",2026-11-21T00:00:00Z,2026-11-20T00:00:00Z," in text.read_text()


def test_tiny_and_huge_amounts_are_written_without_a_signed_exponent(home: Home, target: Path) -> None:
    rows = fleet(DAY)
    sizes = {"idle": 3.65e-9, "output": 3.65e24}
    rows["cost_ledger"] = [row | {"usd": sizes[row["bucket"]]} for row in rows["cost_ledger"] if row["bucket"] in sizes]
    publish(home.root, rows)
    text = target.with_suffix(".csv")
    export(home, text)
    found = pl.read_csv(text, infer_schema=False).sort("x_Bucket")["EffectiveCost"].to_list()
    assert [float(value) for value in found] == pytest.approx([1e-11, 1e22], rel=1e-12)
    assert not any("e" in value.lower() for value in found)


def test_names_with_commas_quotes_and_lines_survive_csv(home: Home, target: Path) -> None:
    name = 'a "b", c\nd 🦙'
    publish(home.root, fleet(DAY, endpoint=name))
    text = target.with_suffix(".csv")
    export(home, text)
    assert pl.read_csv(text)["x_Endpoint"].unique().to_list() == [name]


def test_an_empty_ledger_is_a_file_without_rows(tmp_path: Path) -> None:
    home = publish(tmp_path / "home", {name: [] for name in fleet(DAY)})
    for suffix in (".csv", ".parquet"):
        made = export(home, tmp_path / f"focus{suffix}")
        assert (made.rows, made.first_day, made.price_plans) == (0, None, ())
        assert violations(tmp_path / f"focus{suffix}") == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_currency_that_is_none_is_refused_and_the_file_stays_as_it_was(home: Home, target: Path, suffix: str) -> None:
    target = target.with_suffix(suffix)
    export(home, target)
    before = target.read_bytes()
    rows = fleet(DAY)
    rows["cost_ledger"] = [row | {"currency": "credits"} for row in rows["cost_ledger"]]
    publish(home.root, rows)
    with pytest.raises(FeedError, match=r"would break FOCUS 1.2.*\nBillingCurrency-C-003-M: .* \(4 rows break it\)"):
        export(home, target)
    assert target.read_bytes() == before
    assert {path.name for path in target.parent.iterdir()} == {target.name, "home"}


def test_another_suffix_is_wrong_usage(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        export(home, tmp_path / "focus.xlsx")


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"BilledCost": None}, "BilledCost nullability"),
    ({"EffectiveCost": float("inf")}, "EffectiveCost NumericFormat"),
    ({"ChargeCategory": "usage"}, "ChargeCategory values"),
    ({"ServiceSubcategory": "LLMs"}, "ServiceSubcategory values"),
    ({"ChargeClass": "Refund"}, "ChargeClass values"),
    ({"ListUnitPrice": -1.0}, "ListUnitPrice range"),
    ({"ListUnitPrice": None}, "ListUnitPrice nullability"),
    ({"SkuId": None}, "SkuId nullability"),
    ({"SkuPriceId": None}, "SkuPriceId nullability"),
    ({"PricingCategory": None}, "PricingCategory nullability"),
    ({"PricingQuantity": None}, "PricingQuantity nullability"),
    ({"PricingUnit": None}, "PricingUnit nullability"),
    ({"PricingUnit": "server-hours"}, "PricingUnit UnitFormat"),
    ({"ConsumedQuantity": None}, "ConsumedQuantity-C-006-C"),
    ({"ConsumedUnit": None}, "ConsumedUnit nullability"),
    ({"ChargeCategory": "Tax"}, "ConsumedQuantity-C-004-C"),
    ({"ListCost": 1.0}, "ListCost-C-009-C"),
    ({"ContractedCost": 1.0}, "ContractedCost-C-008-C"),
    ({"BillingCurrency": "US$"}, "BillingCurrency-C-003-M"),
    ({"ChargePeriodEnd": "2026-11-20T00:00:00Z"}, "ChargePeriod"),
    ({"BillingPeriodEnd": "2026-11-01T00:00:00Z"}, "BillingPeriod"),
    ({"BillingPeriodEnd": "2026-11-20T12:00:00Z"}, "ChargePeriod in BillingPeriod"),
    ({"ChargeCategory": "Purchase", "ConsumedQuantity": None, "ConsumedUnit": None}, "ChargeFrequency-C-005-C"),
    ({"ResourceName": "chat/llama"}, "ResourceName-C-006-C"),
    ({"ResourceId": None}, "ResourceType-C-005-C"),
    ({"SubAccountId": None}, "SubAccountName-C-005-C"),
    ({"ServiceName": "  "}, "ServiceName NullHandling"),
    ({"SkuPriceDetails": "[1]"}, "SkuPriceDetails KeyValueFormat"),
    ({"SkuPriceDetails": '{"x_A": {"b": 1}}'}, "SkuPriceDetails KeyValueFormat"),
    ({"SkuPriceDetails": "{"}, "SkuPriceDetails KeyValueFormat"),
    ({"SkuId": "another"}, "SkuPriceId parent"),
    ({"ServiceCategory": "Compute"}, "ServiceName-C-005-C"),
]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("focus")
    home = publish(folder / "home", fleet(DAY))
    rows = [charges(home, folder / "focus.parquet"), charges(home, folder / "focus.parquet")]
    return pl.concat(rows).with_columns(pl.col("x_FleetId") + "-2")


@pytest.mark.parametrize(
    ("change", "rule"), BROKEN, ids=[f"{rule} {next(iter(change.values()))}" for change, rule in BROKEN]
)
def test_a_broken_row_is_found_by_the_rule_that_it_breaks(
    good: pl.DataFrame, tmp_path: Path, change: Mapping[str, Any], rule: str
) -> None:
    path = tmp_path / "broken.parquet"
    good.write_parquet(path)
    assert violations(path) == []
    for name, value in change.items():
        kind = good.schema[name]
        new = pl.lit(value).str.to_datetime("%Y-%m-%dT%H:%M:%SZ") if name.endswith(("Start", "End")) else pl.lit(value)
        good = good.with_columns(
            pl.when(pl.int_range(pl.len()) == 0).then(new.cast(kind)).otherwise(pl.col(name)).alias(name)
        )
    good.write_parquet(path)
    assert rule in {violation.rule for violation in violations(path)}


@pytest.mark.parametrize("column", [column.name for column in FOCUS_COLUMNS if column.level == "mandatory"])
def test_a_mandatory_column_that_is_missing_is_found(good: pl.DataFrame, tmp_path: Path, column: str) -> None:
    path = tmp_path / "broken.parquet"
    good.drop(column).write_parquet(path)
    assert [violation.rule for violation in violations(path)] == [f"{column} presence"]


def test_wrong_types_and_foreign_columns_are_found(good: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    good.with_columns(pl.col("BilledCost").cast(pl.String), Remark=pl.lit("x")).write_parquet(path)
    assert [str(violation) for violation in violations(path)] == [
        "BilledCost type: BilledCost must be of type decimal, found VARCHAR",
        "ColumnHandling-A-010-M: Remark is not of FOCUS, and its name does not start with x_",
    ]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("EffectiveCost", "+1.5", "NumericFormat"), ("EffectiveCost", "1,500", "NumericFormat"), ("EffectiveCost", "1E+3", "NumericFormat"),
        ("EffectiveCost", "$1", "NumericFormat"), ("ChargePeriodStart", "2026-11-20", "DateTimeFormat"),
        ("ChargePeriodStart", "2026-11-20T00:00:00+01:00", "DateTimeFormat"),
    ],
)  # fmt: skip
def test_a_text_file_is_held_to_the_formats(home: Home, tmp_path: Path, name: str, text: str, rule: str) -> None:
    path = tmp_path / "focus.csv"
    export(home, path)
    frame = pl.read_csv(path, infer_schema=False)
    frame.with_columns(pl.lit(text).alias(name)).write_csv(path)
    assert f"{name} {rule}" in {violation.rule for violation in violations(path)}


def test_every_mandatory_column_of_the_specification_is_there() -> None:
    # specification/columns/*.md of FOCUS_Spec v1.2, those with the feature level Mandatory
    mandatory = {
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
        "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
        "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
        "ServiceCategory", "ServiceName",
    }  # fmt: skip
    assert {column.name for column in FOCUS_COLUMNS if column.level == "mandatory"} == mandatory
    names = [column.name for column in FOCUS_COLUMNS]
    custom = [name for name in names if name.startswith("x_")]
    assert names == sorted(set(names) - set(custom)) + sorted(custom), "FOCUS columns come first, each part in order"


def test_rules_have_names_of_their_own() -> None:
    names = [rule.name for rule in focus_rules.TOGETHER]
    assert len(names) == len(set(names))


def test_a_full_disk_leaves_the_file_that_was_there(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("Could not write file: No space left on device")

    target = tmp_path / "charges.csv"
    target.write_text("of yesterday")
    monkeypatch.setattr(focus, "_write", full)
    with pytest.raises(LandingError, match=rf"cannot write {target}: .*No space left on device.* Free space there"):
        export(home, target)
    assert target.read_text() == "of yesterday"

"""Rows of Python become tables of DuckDB, value by value."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pytest

from transforms import given_rows

COLUMNS = {
    "name": "VARCHAR", "at": "TIMESTAMP", "day": "DATE", "share": "DOUBLE", "many": "BIGINT", "is_it": "BOOLEAN",
    "names": "VARCHAR[]", "parts": "STRUCT(x VARCHAR, y DOUBLE)[]",
}  # fmt: skip


def read_back(*rows: dict[str, Any]) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        given_rows.create(con, "given", COLUMNS, rows)
        return con.execute("from given").fetchall()


def test_values_come_back_to_the_last_digit_and_what_is_lacking_is_null() -> None:
    first = ('it\'s "ü"\u2028', datetime(2026, 1, 2, 3, 4, 5, 678901), date(2026, 1, 2), 0.1 + 0.2, 2**62, False)
    lists = ([], [{"x": None, "y": 5e-324}])
    rows = read_back(dict(zip(COLUMNS, (*first, *lists), strict=True)), {"share": float("inf"), "unknown": 1})
    assert rows == [(*first, *lists), (None, None, None, float("inf"), None, None, None, None)]


@pytest.mark.parametrize("at", [
    "2026-01-02T03:00:00", "2026-01-02T05:00:00+02:00", datetime(2026, 1, 2, 3, tzinfo=UTC),
    datetime(2026, 1, 1, 22, tzinfo=timezone(-timedelta(hours=5))),
], ids=["text", "text with a zone", "utc", "another zone"])  # fmt: skip
def test_a_time_is_utc_whatever_its_zone(at: Any) -> None:
    assert read_back({"at": at})[0][1] == datetime(2026, 1, 2, 3)


def test_no_rows_make_a_table_with_its_columns() -> None:
    with duckdb.connect() as con:
        given_rows.create(con, "given", COLUMNS, [])
        assert [name for name, *_ in con.execute("describe given").fetchall()] == list(COLUMNS)
        assert con.execute("from given").fetchall() == []


def test_what_has_no_place_in_a_table_is_named() -> None:
    with pytest.raises(TypeError, match="complex has no place in a table"):
        read_back({"share": 1j})

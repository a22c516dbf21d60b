"""The rate card in the terminal and as JSON."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.card import Card, card_text, read_card
from tests.reports.houses import empty_home, rates_home


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    home = rates_home(tmp_path_factory.mktemp("rates"), also_closed=True)
    return read_card(home, ["rates", "sweep"])


def lines(card: Card, holding: str) -> list[list[str]]:
    """The words of the lines of the card that hold `holding`."""
    return [line.split() for line in card_text(card).splitlines() if holding in line]


def test_each_level_is_named_by_its_kind_of_load_lightest_first(card: Card) -> None:
    assert [words[2] for words in lines(card, "endpoint   workload   ")[1:]] == ["c=1", "c=4", "2/s", "4.5/s", "10/s"]


def test_it_says_at_which_rate_to_run(tmp_path: Path) -> None:
    card = read_card(rates_home(tmp_path), ["rates"])
    assert "endpoint x workload, SLO slo: run at 4.5/s" in card_text(card)
    (priced,) = lines(card, " demand ")[1:]
    assert priced[:5] == ["endpoint", "demand", "slo", "4.5/s", "3"]  # 95/s at 4.5/s a GPU: 22 GPUs, 3 servers of 8
    assert "None" not in card_text(card)
    assert [(row["concurrency"], row["request_rate"]) for row in card.as_json()["rate_card"]] == [(None, 4.5)]


def test_a_reason_against_a_point_is_explained_once(card: Card) -> None:
    [column] = [at for at, name in enumerate(card.points.columns) if name == "validity"]
    spoilt = [(*row[:column], "osl_mismatch", *row[column + 1 :]) for row in card.points.rows]
    said = card_text(replace(card, points=replace(card.points, rows=spoilt)))
    assert said.count("osl_mismatch: the mean output length is") == 1
    assert "osl_mismatch:" not in card_text(card)


def test_json_has_both_columns_of_a_load(card: Card) -> None:
    assert [(row["concurrency"], row["request_rate"]) for row in card.as_json()["operating_points"]] == [
        (1, None), (4, None), (None, 2.0), (None, 4.5), (None, 10.0),
    ]  # fmt: skip


def test_without_points_it_says_so(tmp_path: Path) -> None:
    assert card_text(read_card(empty_home(tmp_path), ["run"])) == "No operating point was measured."

"""Two nights at once, each a process of its own: nothing lost, nothing doubled."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.flows.nights import Nights, nights_of
from warehouse import manifests
from warehouse.ask import ask
from warehouse.home import Home

NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)
Pair = tuple[Nights, Nights]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(nights_of(tmp_path_factory.mktemp("one"))),
            stack.enter_context(nights_of(tmp_path_factory.mktemp("other"))),
        )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def at_once(pair: Pair, home: Home, *nights: datetime, wait_s: float) -> list[int]:
    """Exit codes of two nights that overlap: a level takes 0.3 s."""
    for process, night in zip(pair, nights, strict=True):
        process.begin(home, night, wait_s=wait_s, takes_s=0.3)
    return [process.end()[0] for process in pair]


def test_the_same_night_in_two_processes_is_measured_once(pair: Pair, home: Home) -> None:
    assert at_once(pair, home, NIGHT, NIGHT, wait_s=120) == [0, 0]
    [manifest] = manifests.read_all(home)
    assert (manifest.run["attempt"], manifest.run["status"]) == (1, "complete")
    assert ask(home, "select count(*), count(distinct operating_point_id) from operating_points").rows == [(2, 2)]
    # and priced: these rows are the same on any machine, so that one of the two points can always be chosen
    priced = ask(home, "select distinct price_plan from cost_per_million_tokens where usd_per_mtok is not null").rows
    assert {"own-8gpu", "cloud-8gpu-low"} <= {plan for (plan,) in priced}


def test_two_nights_on_one_endpoint_wait_for_each_other(pair: Pair, home: Home) -> None:
    assert at_once(pair, home, NIGHT, NIGHT + timedelta(hours=1), wait_s=120) == [0, 0]
    first, second = sorted((m.run for m in manifests.read_all(home)), key=lambda run: run["started_at"])
    assert [run["status"] for run in (first, second)] == ["complete", "complete"]
    assert first["ended_at"] <= second["started_at"], "never two loads at once"
    assert ask(home, "select night, count(*) from operating_points group by all order by all").rows == [
        (NIGHT.replace(tzinfo=None), 2),
        (NIGHT.replace(tzinfo=None) + timedelta(hours=1), 2),
    ]


def test_a_night_that_may_not_wait_fails_and_spoils_nothing(pair: Pair, home: Home) -> None:
    one, other = pair
    one.begin(home, NIGHT, takes_s=1.0)
    while not list(home.incoming.glob("*/run.json")):  # it has the endpoint
        assert one.process.poll() is None
    other.begin(home, NIGHT + timedelta(hours=1))
    assert other.end()[0] == 1
    assert one.end()[0] == 0
    assert [m.run["status"] for m in manifests.read_all(home)] == ["complete"]

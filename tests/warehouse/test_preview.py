"""A preview says of an open run's level what the warehouse will say of it."""

from pathlib import Path

import pytest

from schemas.errors import WarehouseError
from tests.traces import LEVEL, begin, row, write_part
from warehouse.ask import ask
from warehouse.build import build
from warehouse.home import Home
from warehouse.preview import preview


def test_a_preview_of_an_open_run_says_what_the_warehouse_will_say(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    folder = begin(home)
    # 200 requests of 0.161 s, one a second; every fourth has its first token 900 ms late
    rows = [row(index) for index in range(200)]
    for late in rows[::4]:
        late |= {name: late[name] + 900_000_000 for name in late if name.startswith(("first_", "last_", "closed_"))
                 and name.endswith("_ns")}  # fmt: skip
    write_part(folder, *rows)
    folder.land_level(LEVEL)
    seen = preview(folder, 1)
    assert seen.point is not None
    assert seen.point["request_rps"] == pytest.approx(1.0, rel=0.02)
    assert seen.attainment["interactive"]["judged_requests"] > 190
    folder.close("complete", None)
    build(home)
    # with one level in the run even the knee is the same; the snapshot of the catalog has another name
    [point] = ask(home, "select * exclude (catalog_hash) from operating_points").objects()
    assert {name: seen.point[name] for name in point} == point
    attainment = ask(home, "select * from slo_attainment order by slo").objects()
    assert [seen.attainment[name] for name in sorted(seen.attainment)] == attainment


def test_only_the_level_that_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    folder = begin(Home(tmp_path / "home"))
    write_part(folder, *(row(index) for index in range(30)))
    folder.land_level(LEVEL)
    write_part(folder, *(row(index, level_index=2, concurrency=2) for index in range(40)), level=2)
    folder.land_level(LEVEL | {"level_index": 2, "concurrency": 2})
    point = preview(folder, 2).point
    assert point is not None
    assert (point["level_index"], point["requests"]) == (2, 40)


def test_a_level_that_has_not_landed_is_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="level 3 of r has not landed"):
        preview(begin(Home(tmp_path / "home")), 3)

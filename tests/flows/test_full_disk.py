"""A disk that is full: each command says so, where, and what to do; what was there before stays, whole."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import cli
from schemas.catalog.loads import Load
from tests.curated import content
from tests.disks import filled, small_disk
from tests.flows.runs import Night
from tests.warehouse.retained import files, measure
from warehouse import landing, manifests, recovery
from warehouse.build import build
from warehouse.home import Home


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("small") / "disk") as at:
        yield at


@pytest.fixture(scope="module")
def home(disk: Path) -> Home:
    """A night, built, and published as Parquet and as FOCUS; then another night."""
    home = Home(disk / "home")
    measure(home)
    build(home)
    for feed, target in (("parquet", "export"), ("focus", "costs.csv")):
        assert call("publish", feed, disk / target, home=home).exit_code == 0
    measure(home, day=1)
    build(home)
    return home


def call(*arguments: str | Path, home: Home) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments), "--home", str(home.root)])


def exported(disk: Path) -> dict[str, bytes]:
    paths = [disk / "costs.csv", *sorted((disk / "export").rglob("*"))]
    return {str(path.relative_to(disk)): path.read_bytes() for path in paths if path.is_file()}


def test_every_command_says_what_is_full_and_what_to_do(home: Home, disk: Path, tmp_path: Path) -> None:
    (tmp_path / "retention.yaml").write_text("all:\n  drop_after_days: 1\n")
    before, traces = content(home), files(home)
    retention = ("retention", "--catalog", tmp_path, "--as-of", "2026-12-01")
    with filled(disk, free_kib=32):
        said = {
            "build": call("build", "--recompute", home=home),
            "retention": call(*retention, home=home),
            "parquet": call("publish", "parquet", disk / "new", home=home),
        }
    with filled(disk, free_kib=4):
        said["focus"] = call("publish", "focus", disk / "new.csv", home=home)
    for name, place in {"build": home.root, "retention": home.raw, "parquet": disk, "focus": disk}.items():
        text = said[name].output
        assert said[name].exit_code == 1, text
        for part in ("No space left on device", str(place)):
            assert part in text, text
        assert "free" in text.lower() and ("untouched" in text or "nothing was" in text.lower()), text
        for strange in ("IO Error", "Checkpoint", "errno", "Traceback"):
            assert strange not in text, text
    assert content(home) == before
    assert {name: data for name, data in files(home).items() if not name.startswith("archive")} == traces
    assert sorted(path.name for path in disk.iterdir()) == ["costs.csv", "export", "home"]


@pytest.mark.parametrize(
    ("feed", "target", "free_kib"),
    [("focus", "costs.csv", 0), *(("parquet", "export", kib) for kib in (0, 4, 32, 128, 512))],
)
def test_what_was_published_before_stays_whole(home: Home, disk: Path, feed: str, target: str, free_kib: int) -> None:
    before = exported(disk)
    with filled(disk, free_kib):
        assert call("publish", feed, disk / target, home=home).exit_code == 1
        assert exported(disk) == before


async def test_a_run_that_cannot_even_be_closed_says_why_at_once_and_when_it_is_closed(
    disk: Path, monkeypatch: pytest.MonkeyPatch, reference: Callable[..., str]
) -> None:
    night = Night(Home(disk / "nights"), monkeypatch)
    full, real = ExitStack(), landing.land_part

    def fills_up(home: Home, part: Path, identity: dict[str, object]) -> object:
        if identity["level_index"] and not (disk / "filler").exists():
            full.enter_context(filled(disk))
        return real(home, part, identity)

    with full, monkeypatch.context() as patch:
        patch.setattr("warehouse.runs.land_part", fills_up)
        outcome = await night.measure(reference(), Load(concurrency=[1], requests=20, warmup_requests=0, shards=1))
    assert outcome.status == "failed" and outcome.message is not None
    assert "the run could not be closed: No space left on device" in outcome.message
    assert f"free some space in {night.home.root}, and the next `ratecard run` or `ratecard build`" in outcome.message
    [line] = recovery.recover(night.home)
    assert line.startswith("closed ")
    [manifest] = manifests.read_all(night.home)
    assert manifest.run["failure"].startswith("the disk was full")

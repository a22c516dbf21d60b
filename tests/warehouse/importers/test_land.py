"""Levels into runs: alike whatever the order, once and only once, conflicts kept with both values."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import EndpointBusyError
from tests.warehouse.importers.made import aiperf_record, imported, jsonl, rejected, rows, vllm_result
from warehouse import manifests
from warehouse.corrections import retract
from warehouse.home import Home, exclusive

CONCURRENCIES = (4, 8, 16)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def sweep(folder: Path) -> list[Path]:
    """A result for each concurrency, on one day, each some minutes after the other."""
    folder.mkdir(exist_ok=True)
    paths = []
    for minute, concurrency in enumerate(CONCURRENCIES):
        share = concurrency / 16
        document = vllm_result(
            max_concurrency=concurrency, date=f"20260214-14{minute:02d}00", num_prompts=round(160 * share), completed=round(160 * share),
            total_input_tokens=round(160_000 * share), total_output_tokens=round(16_000 * share), request_throughput=4 * share,
            output_throughput=400 * share, total_token_throughput=4400 * share,
        )  # fmt: skip
        paths.append(folder / f"conc{concurrency}.json")
        paths[-1].write_text(json.dumps(document))
    return paths


def content(home: Home) -> Any:
    """What a rebuild reads: manifests as they are, and the rows."""
    texts = {p.name: json.loads(p.read_text()) for p in (home.raw / "manifests").rglob("*.json")}
    return texts, rows(home, "summary_points").sort("level_index").rows()


def test_files_given_together_or_one_after_another_in_any_order_come_to_the_same(tmp_path: Path) -> None:
    paths = sweep(tmp_path / "results")
    together, apart = Home(tmp_path / "together"), Home(tmp_path / "apart")
    imported(together, "vllm", *paths)
    for path in reversed(paths):
        imported(apart, "vllm", path)
    assert content(together) == content(apart)
    (manifest,) = manifests.read_all(together)
    assert [level["concurrency"] for level in manifest.levels] == [4, 8, 16]
    assert (manifest.run["suite"], manifest.run["load"], manifest.run["client_version"]) == ("imported", "vllm", "vllm")
    assert (manifest.run["levels_planned"], manifest.run["levels_measured"]) == (3, 3)


def test_loading_twice_changes_nothing(home: Home, tmp_path: Path) -> None:
    paths = sweep(tmp_path / "results")
    imported(home, "vllm", *paths)
    before = {path: path.read_bytes() for path in home.raw.rglob("*") if path.is_file()}
    assert {o.status for o in imported(home, "vllm", *paths)} == {"already there"}
    assert {path: path.read_bytes() for path in home.raw.rglob("*") if path.is_file()} == before


def test_the_same_measurement_with_other_values_goes_to_quarantine_with_both(home: Home, tmp_path: Path) -> None:
    path = sweep(tmp_path / "results")[0]
    imported(home, "vllm", path)
    kept = content(home)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"median_ttft_ms": 1001.0}))
    (outcome,) = imported(home, "vllm", path)
    assert outcome.status == "conflict"
    assert "ttft_p50_ms 1000 there, 1001 here" in outcome.message
    assert f"ratecard retract {outcome.run_id}" in outcome.message
    (aside,) = (home.quarantine / "imports").rglob("*.conflict-*.json")
    assert json.loads(aside.read_text())["differing"] == {"ttft_p50_ms": {"kept": 1000.0, "offered": 1001.0}}
    assert content(home) == kept


def test_records_with_other_values_are_a_conflict_whose_rows_are_kept(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "profile_export.jsonl"
    imported(home, "aiperf", jsonl(path, *(aiperf_record(i) for i in range(40))))
    slower = [aiperf_record(i, ms={"time_to_first_token": 40.0 + (i == 7)}) for i in range(40)]
    (outcome,) = imported(home, "aiperf", jsonl(path, *slower))
    # one TTFT of 40 is 1 ms longer
    assert "ttft_mean_ms 40 there, 40.025 here" in outcome.message
    assert len(list((home.quarantine / "imports").rglob("*.conflict-*.parquet"))) == 1


def test_a_retracted_run_is_imported_again_as_its_next_attempt(home: Home, tmp_path: Path) -> None:
    path = sweep(tmp_path / "results")[0]
    (outcome,) = imported(home, "vllm", path)
    retract(home, outcome.run_id, "another model was behind the URL")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"median_ttft_ms": 1001.0}))
    assert [o.status for o in imported(home, "vllm", path)] == ["landed"]
    first, second = manifests.read_all(home)
    assert (first.run["attempt"], first.run["retracted_why"]) == (1, "another model was behind the URL")
    assert (second.run["attempt"], second.run["retracted_why"]) == (2, None)


def test_nothing_is_added_to_a_night_of_which_nothing_can_be_derived_any_more(home: Home, tmp_path: Path) -> None:
    first, *others = sweep(tmp_path / "results")
    imported(home, "vllm", first)
    (manifest,) = manifests.read_all(home)
    manifests.rewrite(home, manifest.run, [part | {"retained": {"action": "dropped"}} for part in manifest.parts])
    outcomes = imported(home, "vllm", *others)
    assert {o.status for o in outcomes} == {"refused"}
    assert "the night 2026-02-14T00:00:00 is archived" in outcomes[0].message


def test_two_tests_at_one_load_on_one_day_are_two_levels(home: Home, tmp_path: Path) -> None:
    first, later = tmp_path / "first.json", tmp_path / "later.json"
    first.write_text(json.dumps(vllm_result()))
    later.write_text(json.dumps(vllm_result(date="20260214-180000")))
    assert [o.status for o in imported(home, "vllm", first, later)] == ["landed", "landed"]
    assert rows(home, "summary_points")["level_index"].n_unique() == 2


def test_levels_begin_with_their_load_so_that_they_sort(home: Home, tmp_path: Path) -> None:
    imported(home, "vllm", *sweep(tmp_path / "results"))
    (manifest,) = manifests.read_all(home)
    assert [level["level_index"] // 10_000 for level in manifest.levels] == [4, 8, 16]


def test_a_result_that_cannot_be_read_keeps_none_of_the_others_out(home: Home, tmp_path: Path) -> None:
    from warehouse.importers.levels import Said
    from warehouse.importers.readers import read

    paths = sweep(tmp_path / "results")
    paths[1].write_text("{")
    levels, errors = read("vllm", paths, Said("e"))
    assert ([level.concurrency for level in levels], len(errors)) == ([4, 16], 1)
    assert str(paths[1]) in str(errors[0])


def test_what_an_import_that_died_left_behind_counts_for_nothing(home: Home, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "profile_export.jsonl", *(aiperf_record(i) for i in range(40)))
    (first,) = imported(home, "aiperf", path)
    # died after its parts were in raw/, before the manifest; and once more with parts in incoming/
    next((home.raw / "manifests").rglob("*.json")).unlink()
    left = home.incoming / f"import-{first.run_id}-a1"
    left.mkdir()
    (left / "a1-l001-s000.parquet").write_bytes(b"half")
    jsonl(
        path,
        *(
            aiperf_record(i, ms={"time_to_first_token": 41.0, "inter_chunk_latency": [19.0, 20.0, 20.0]})
            for i in range(40)
        ),
    )
    (again,) = imported(home, "aiperf", path)
    assert (again.status, rows(home).height, list(home.incoming.iterdir())) == ("landed", 40, [])
    assert set(rows(home)["first_token_ns"] - rows(home)["sent_ns"]) == {41_000_000}


def test_two_imports_of_an_endpoint_at_once_do_not_mix(home: Home, tmp_path: Path) -> None:
    paths = sweep(tmp_path / "results")
    home.prepare()
    with (
        exclusive(home.locks / ".import-e.lock"),
        pytest.raises(EndpointBusyError, match="another import for endpoint e"),
    ):
        imported(home, "vllm", *paths)


def test_large_files_land_in_parts(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.importers.parts.ROWS_PER_PART", 20)
    monkeypatch.setattr("warehouse.importers.aiperf._BATCH", 10)
    imported(home, "aiperf", jsonl(tmp_path / "profile_export.jsonl", *(aiperf_record(i) for i in range(50))))
    (manifest,) = manifests.read_all(home)
    assert sorted(part["rows"] for part in manifest.parts) == [10, 20, 20]
    assert sorted(rows(home)["request_index"]) == list(range(50))
    assert rejected(home) == []

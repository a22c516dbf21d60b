"""A mistake in the catalog is answered with file, line, field, what was found and what was expected."""

import re
import shutil
from pathlib import Path

import pytest

from schemas.catalog.demands import Demand, Users
from schemas.catalog.lengths import Empirical
from schemas.catalog.loads import Cancellation, Confidence, Load, Search
from schemas.catalog.workloads import Dataset, SharedPrefix, TraceFile, Turns, Workload
from schemas.catalog_files import FILES, load
from schemas.errors import CatalogError
from tests.traces import STARTER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTER, tmp_path / "catalog", ignore=shutil.ignore_patterns("*.py", "__pycache__")))


def edit(folder: Path, name: str, old: str, new: str) -> int:
    """Replace `old` by `new` in a file of the catalog; returns the line that it stands on."""
    path = folder / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def complaint(folder: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        load(folder)
    return str(caught.value)


def test_the_starter_catalog_is_read_whole() -> None:
    catalog = load(STARTER)
    assert all(getattr(catalog, name) for name in FILES)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("endpoints", "  gpus_per_instance: 1\n", "  gpus_per_instance: two\n", "demo-llama.gpus_per_instance: found 'two', expected: a valid integer"),
        ("endpoints", "  precision: q4_0", "  precission: q4_0", "demo-llama.precission: no such field (found 'q4_0')"),
        ("demands", "  workload: chat-1k\n", "", "chat: give either workload (one) or mix (several, with the share of each)"),
        ("demands", "  workload: chat-1k\n", "  workload: chat-1k\n  mix: [{workload: demo-chat, share: 1}]\n", "chat: give either workload (one) or mix"),
        ("demands", "workload: chat-1k\n", "mix: [{workload: chat-1k, share: 0.6}, {workload: demo-chat, share: 0.3}]\n", "chat.mix: the shares sum to 0.9, expected 1"),
        ("demands", "workload: chat-1k\n", "mix: [{workload: chat-1k, share: 0.99999}]\n", "chat.mix: the shares sum to 0.99999, expected 1"),
        ("demands", "workload: chat-1k\n", "mix: [{workload: chat-1k, share: 0.5}, {workload: chat-1k, share: 0.5}]\n", "chat.mix: 'chat-1k' is given twice: add its shares up to one entry"),
        ("demands", "workload: chat-1k\n", "mix: [{workload: chat-1k, share: 0.5}, {workload: chat-1m, share: 0.5}]\n", "chat.mix.1.workload: found 'chat-1m', expected a name in workloads.yaml ("),
        ("demands", "workload: chat-1k\n", "mix: [{workload: chat-1k, share: 1.5}]\n", "chat.mix.0.share: found 1.5, expected: less than or equal to 1"),
        ("demands", "workload: chat-1k\n", "mix: [{workload: chat-1k}]\n", "chat.mix.0.share: is missing: expected a value"),
        ("demands", "workload: chat-1k\n", "mix: []\n", "chat: give either workload (one) or mix"),
        ("workloads", "  input_tokens: 64\n", "", "demo-chat: input_tokens and output_tokens are needed (or a dataset"),
        ("workloads", "  input_tokens: 64\n", "  input_tokens: many\n", "demo-chat.input_tokens: found 'many', expected: a valid integer"),
        ("workloads", "  input_tokens: 64\n", "  input_tokens: 0\n", "demo-chat.input_tokens: found 0, expected: greater than 0"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {distribution: uniform, min: 9, max: 5}\n", "demo-chat.input_tokens: max (5) is below min (9)"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {distribution: uniform, min: 9}\n", "demo-chat.input_tokens.max: is missing"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {distribution: normal, mean: 9, stddev: x}\n", "demo-chat.input_tokens.stddev: found 'x', expected: a valid number"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {distribution: normal, mean: 9, stddev: 1, min: 10}\n", "demo-chat.input_tokens: mean (9) must lie between min (10) and max (none)"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {tokens: 5, lenght: 3}\n", "demo-chat.input_tokens.lenght: no such field (found 3)"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {mean: 9}\n", "demo-chat.input_tokens: distribution: found nothing, expected fixed, uniform, normal"),
        ("workloads", "input_tokens: 64\n", "input_tokens: {distribution: zipf}\n", "demo-chat.input_tokens: distribution: found 'zipf', expected fixed"),
        ("workloads", "input_tokens: 64\n", "input_tokens: 64\n  shared_prefix: {tokens: 64}\n", "demo-chat: input_tokens (at most 64) includes the shared prefix (64)"),
        ("workloads", "input_tokens: 64\n", "input_tokens: 64\n  turns: {count: {distribution: empirical, file: none.csv}}\n", "demo-chat.turns.count.file: found 'none.csv', expected a file: none at"),
        ("endpoints", "  precision: q4_0", "  tokenizer: none.json", "demo-llama.tokenizer: found 'none.json', expected a file: none at"),
        ("loads", "  concurrency: [1, 2, 4, 8, 16]", "  search: {kind: goodput, slo: chatty}", "demo-sweep.search.slo: found 'chatty', expected a name in slos.yaml"),
        ("loads", "[1, 2, 4, 8, 16]", "[1, 2, 2]", "demo-sweep: concurrency [1, 2, 2] must rise without repeats"),
        ("slos", "max_ms: 1000", "min_tps: 1000", "a bound on ttft states max_ms, not min_tps"),
        ("slos", "statistic: p50, max_ms: 500", "statistic: p49, max_ms: 500", "found 'p49', expected: 'mean', 'p50'"),
        ("demands", "peak_rps: 10\n", "peak_rps: 10\n  mean_rps: 12\n", "demo-batch: mean_rps (12) is above peak_rps (10)"),
        ("demands", "workload: chat-1k", "workload: chat-1m", "chat.workload: found 'chat-1m', expected a name in workloads.yaml ("),
        ("prices", "usd_per_hour: 0.10", "usd_per_hour: -1", "demo-rent.periods.0.usd_per_hour: found -1, expected: greater than 0"),
        ("prices", "kind: api", "kind: apu", "reference-api: kind: found 'apu', expected own, rent or api"),
        ("prices", ", usd_per_kwh: 0.15", "", "demo-own.periods.0: power_kw needs usd_per_kwh"),
        ("prices", "valid_from: 2025-01-01, usd_per_hour: 0.10", "valid_from: 2025-02-30, usd_per_hour: 0.10", "demo-rent.periods.0.valid_from: found '2025-02-30', expected: a valid date"),
        ("demands", "headroom: 0.1 ", "headroom: 1.0e+300 ", "demo-assistant.headroom: found 1e+300, expected: less than or equal to 100"),
        ("demands", "spares: 1 ", "spares: 100000000000000000000000 ", "demo-assistant.spares: found"),
        ("endpoints", "  launch: {engine: llama, slots: 4}", "  url: http://u:secret@h\n  model: m", "demo-llama.url: a URL with a user or password"),
        ("endpoints", "  precision: q4_0", "  proxy: http://u:secret@h:1", "demo-llama.proxy: a URL with a user or password would end in files and logs: name its variable with proxy_auth_env"),
        ("endpoints", "  precision: q4_0", "  proxy: socks4://h:1", "demo-llama.proxy: found 'socks4://h:1', expected http://HOST:PORT or socks5://HOST:PORT"),
        ("endpoints", "  precision: q4_0", "  proxy_auth_env: LOGIN", "demo-llama: proxy is needed beside proxy_auth_env"),
        ("endpoints", "  precision: q4_0", "  headers: {Authorization: Bearer x}", "demo-llama.headers: Authorization is a secret"),
        ("endpoints", "  precision: q4_0", "  headers: {proxy-authorization: Basic x}", "name its variable with proxy_auth_env"),
        ("suites", "endpoints: [demo-llama]", "endpoints: [demo-lama]", "demo.measure.0.endpoints.0: found 'demo-lama', expected a name in endpoints.yaml (demo-llama)"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_field_found_and_expected(folder: Path, name: str, old: str, new: str, says: str) -> None:
    edit(folder, name, old, new)
    said = complaint(folder)
    assert says in said
    assert said.startswith(f"{folder / name}.yaml:")


def test_the_line_is_the_one_of_the_field(folder: Path) -> None:
    line = edit(folder, "endpoints", "gpus_per_instance: 1\n", "gpus_per_instance: two\n")
    assert f"endpoints.yaml:{line}:" in complaint(folder)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    edit(folder, "endpoints", "gpus_per_instance: 1\n", "gpus_per_instance: two\n")
    edit(folder, "prices", "usd_per_hour: 0.10", "usd_per_hour: 0")
    assert len(complaint(folder).splitlines()) == 2


def test_a_name_given_twice_is_refused_with_both_lines(folder: Path) -> None:
    path = folder / "workloads.yaml"
    path.write_text("w:\n  input_tokens: 1\n  output_tokens: 1\nw:\n  input_tokens: 2\n  output_tokens: 2\n")
    assert f"{path}:1: w: is given twice (again on line 4)" in complaint(folder)


def test_a_name_may_look_like_a_number_or_a_truth(folder: Path) -> None:
    path = folder / "endpoints.yaml"
    path.write_text(path.read_text() + "405:\n  url: http://h\n  model: m\non:\n  url: http://h\n  model: m\n")
    assert {"405", "on"} <= set(load(folder).endpoints)


def test_an_alias_that_holds_itself_is_no_traceback(folder: Path) -> None:
    (folder / "slos.yaml").write_text("a: &a\n  bounds: [*a]\n")
    assert "slos.yaml:1: cannot be read" in complaint(folder)


def test_a_file_of_brackets_is_no_crash(folder: Path) -> None:
    (folder / "slos.yaml").write_text("a: " + "[" * 100_000 + "]" * 100_000)
    assert "slos.yaml:1: cannot be read: an alias that holds itself, or too many brackets" in complaint(folder)


def test_a_file_that_is_not_yaml_is_named_with_its_line(folder: Path) -> None:
    (folder / "slos.yaml").write_text("a: {\n\n  b: ]\n")
    assert f"{folder / 'slos.yaml'}:3: not YAML" in complaint(folder)


def test_a_misnamed_file_is_not_ignored(folder: Path) -> None:
    (folder / "price.yaml").write_text("{}")
    assert "price.yaml:1: no such section" in complaint(folder)


def test_periods_of_a_plan_may_neither_overlap_nor_leave_a_gap(folder: Path) -> None:
    period = "    - {valid_from: 2025-01-01, usd_per_hour: 0.10}\n"
    edit(
        folder,
        "prices",
        period,
        period.replace("usd", "valid_to: 2025-06-30, usd") + period.replace("2025-01-01", "2025-06-30"),
    )
    assert "demo-rent.periods: periods overlap" in complaint(folder)
    edit(folder, "prices", "valid_from: 2025-06-30", "valid_from: 2025-07-02")
    assert "demo-rent.periods: periods leave a gap: nothing between 2025-06-30 and 2025-07-02" in complaint(folder)
    edit(folder, "prices", "valid_from: 2025-07-02", "valid_from: 2025-07-01")
    load(folder)


MIX = """mixed:
  application: chat and documents
  mix:
    - {workload: demo-chat, share: 0.7}
    - {workload: chat-1k, share: 0.3}
  slo: offline
  peak_rps: 10
"""


def test_a_mistake_in_a_mix_is_told_with_the_line_of_its_entry(folder: Path) -> None:
    path = folder / "demands.yaml"
    path.write_text(MIX)
    assert [part.share for part in load(folder).demands["mixed"].mix] == [0.7, 0.3]
    path.write_text(MIX.replace("chat-1k", "chat-1m"))
    assert f"{path}:5: mixed.mix.1.workload: found 'chat-1m'" in complaint(folder)
    path.write_text(MIX.replace("0.3", "0.4"))
    assert f"{path}:3: mixed.mix: the shares sum to 1.1, expected 1" in complaint(folder)
    path.write_text(MIX.replace("slo: offline", "slo: demo-interactive"))
    said = complaint(folder)
    assert f"{path}:5: mixed.mix.1.workload: 'demo-interactive' does not apply to workload 'chat-1k'" in said
    assert len(said.splitlines()) == 1


def test_shares_of_a_mix_may_be_off_by_rounding(folder: Path) -> None:
    third = "[{workload: demo-chat, share: 0.3333333333}, {workload: chat-1k, share: 0.6666666667}]"
    edit(folder, "demands", "workload: chat-1k", f"mix: {third}")
    load(folder)


def test_an_empty_or_missing_folder_says_how_to_get_a_catalog(tmp_path: Path) -> None:
    assert "ratecard init" in complaint(tmp_path)
    assert "ratecard init" in complaint(tmp_path / "nowhere")


def test_users_and_requests_an_hour_are_the_mean_rate() -> None:
    # 3,600 users x 2 an hour = 7,200 an hour = 2 a second; the peak is 3 times that
    demand = Demand(
        application="a", workload="w", slo="s", users=Users(count=3600, requests_per_hour=2), peak_to_average=3
    )
    assert demand.rates() == (6.0, 2.0)


def test_peak_to_average_gives_the_mean() -> None:
    assert Demand(application="a", workload="w", slo="s", peak_rps=12, peak_to_average=4).rates() == (12, 3)
    assert Demand(application="a", workload="w", slo="s", peak_rps=12).rates() == (12, None)


TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n"


def test_a_data_file_is_found_beside_the_catalog_or_by_its_full_path(folder: Path, tmp_path: Path) -> None:
    (folder / "lengths.txt").write_text("5\n")
    (tmp_path / "trace.csv").write_text(TRACE)
    with (folder / "workloads.yaml").open("a") as file:
        file.write(
            "beside:\n  input_tokens: {distribution: empirical, file: lengths.txt}\n  output_tokens: 3\n"
            f"whole:\n  trace: {{file: {tmp_path}/trace.csv, format: azure}}\n"
            "upwards:\n  trace: {file: ../trace.csv, format: azure}\n"
        )
    workloads = load(folder).workloads
    assert isinstance(workloads["beside"].input_tokens, Empirical)
    assert workloads["beside"].input_tokens.file == str(folder / "lengths.txt")
    assert workloads["whole"].trace is not None
    assert workloads["whole"].trace.file == str(tmp_path / "trace.csv")


def test_a_missing_data_file_is_told_with_its_line(folder: Path) -> None:
    path = folder / "workloads.yaml"
    path.write_text(path.read_text() + "traced:\n  trace:\n    file: away.csv\n    format: azure\n")
    line = path.read_text().count("\n") - 1
    assert f"{path}:{line}: traced.trace.file: found 'away.csv', expected a file: none at" in complaint(folder)


def test_a_load_that_replays_a_trace_needs_a_workload_with_one(folder: Path) -> None:
    edit(folder, "loads", "  concurrency: [1, 2, 4, 8, 16]", "  speed: [1, 2]")
    (folder / "trace.csv").write_text(TRACE)
    told = "demo.measure.0.loads.0: 'demo-sweep' replays a trace (speed), and workload 'demo-chat' has none"
    assert told in complaint(folder)
    edit(
        folder, "workloads", "  input_tokens: 64\n  output_tokens: 32\n", "  trace: {file: trace.csv, format: azure}\n"
    )
    load(folder)


GUIDE = Path(__file__).parents[2] / "docs" / "workloads.md"


def with_files(folder: Path, text: str) -> str:
    """`text`, after the files that it names were put into `folder`."""
    for name in re.findall(r"file: ([\w.]+)", text):
        (folder / name).touch()
    return text


def test_the_examples_of_the_guide_are_read(folder: Path) -> None:
    examples = re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    before = load(folder)
    for name, text in examples:
        path = folder / name
        path.write_text(f"{path.read_text()}\n{with_files(folder, text)}")
    catalog = load(folder)
    assert len(catalog.workloads) == len(before.workloads) + 7
    assert len(catalog.loads) == len(before.loads) + 7


def test_the_guide_names_every_field_of_workloads_and_loads() -> None:
    guide = GUIDE.read_text()
    for model in (Workload, Load, SharedPrefix, Turns, Dataset, TraceFile, Search, Cancellation, Confidence, Empirical):
        missing = [name for name in model.model_fields if name not in guide]
        assert not missing, f"{model.__name__}: {missing}"


def test_what_the_starter_catalog_shows_in_comments_is_read(folder: Path) -> None:
    for name in ("workloads", "loads"):
        path = folder / f"{name}.yaml"
        shown = re.sub(r"^# (?=[a-z-]+:$|  )", "", path.read_text(), flags=re.MULTILINE)
        path.write_text(with_files(folder, shown))
    catalog = load(folder)
    assert {"support", "sharegpt", "production"} <= set(catalog.workloads)
    assert {"open", "replay", "highest"} <= set(catalog.loads)

"""The flow of a night against the reference endpoint: what lands, what is told, what a second night adds."""

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.artifacts import Artifact

from flows.catalogs import SUITE, AdHoc, write_adhoc
from flows.night import NightParameters, night
from schemas.errors import NightFailedError, UsageError, WarehouseError
from tests.traces import STARTER
from warehouse import manifests
from warehouse.ask import ask
from warehouse.calibration import Comparison
from warehouse.home import Home, endpoint_lock

pytestmark = pytest.mark.usefixtures("prefect_api")
NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def parameters(tmp_path: Path, home: Home) -> Callable[..., NightParameters]:
    """Parameters that measure `url` at concurrency 1 and 2; `changes` are the endpoint's."""

    def make(
        url: str, *, night: datetime = NIGHT, wait_s: float = 0.0, calibrate: bool = False, publish: bool = True,
        late_h: float | None = None, **changes: Any,
    ) -> NightParameters:  # fmt: skip
        endpoint = {"url": url, "model": "reference", "gpus_per_instance": 2, "timeout_s": 5.0} | changes
        what = AdHoc(
            endpoint=endpoint,
            workload={"input_tokens": 50, "output_tokens": 8},
            load={"concurrency": [1, 2], "requests": 40, "warmup_requests": 2},
            name="e",
        )
        folder = tmp_path / "catalog"
        folder.mkdir(exist_ok=True)
        write_adhoc(what, STARTER, folder)
        return NightParameters(
            suite=SUITE, home=str(home.root), catalog=str(folder), night=night, wait_s=wait_s, calibrate=calibrate,
            publish=publish, late_h=late_h,
        )  # fmt: skip

    return make


def statuses(home: Home) -> list[tuple[int, str]]:
    """Of each attempt that has been closed."""
    return [(manifest.run["attempt"], manifest.run["status"]) for manifest in manifests.read_all(home)]


async def test_a_night_lands_traces_and_prices_them(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    url = reference()
    [run_id] = await night(parameters(url))
    [run] = ask(home, "select * from runs").objects()
    assert (run["run_id"], run["status"], run["levels_measured"], run["requests"]) == (run_id, "complete", 2, 80)
    # the reference endpoint counts ceil(characters / 4) tokens and adds none
    assert run["chars_per_token"] == pytest.approx(4.0, rel=0.05)
    points = ask(home, "select * from operating_points order by concurrency").objects()
    assert [p["concurrency"] for p in points] == [1, 2]
    assert [p["output_tokens_mean"] for p in points] == [8, 8]
    assert [p["input_tokens_mean"] for p in points] == pytest.approx([50, 50], abs=2)
    # 20 ms to the first token and 7 more 2 ms apart; a token that is late itself has the next one sooner behind it
    assert all(20 <= p["ttft_mean_ms"] < 1000 and 1 <= p["tpot_mean_ms"] < 100 for p in points), points
    traces = f"read_parquet('{home.raw}/request_traces/**/*.parquet')"
    twice = f"select level_index, shard, request_index from {traces} group by all having count(*) > 1"
    assert ask(home, twice).rows == []  # the grain, both stages of the probe included
    phases = ask(home, f"select phase, count(*) from {traces} group by all").rows
    assert dict(phases) == {"probe": 8, "warmup": 4, "measure": 80}
    assert not list(home.incoming.iterdir())
    assert home.report.exists()
    # a second of load on a busy machine may find the client to be the bottleneck: then it is measured on a later night
    for later in range(4):
        if later:
            await night(parameters(url, night=NIGHT + timedelta(days=later)))
        validity = ask(home, "select validity from operating_points where night = (select max(night) from runs)").rows
        reasons = {reason for (joined,) in validity for reason in joined.split(",")}
        assert reasons <= {"valid", "client_bound", "unsteady"}, validity
        if "valid" in reasons:
            break
    else:
        pytest.skip(f"this machine was too busy for a valid point on four nights: {reasons}")
    costs = ask(home, "select * from cost_per_million_tokens where usd_per_mtok is not null").objects()
    assert {c["price_plan"] for c in costs} >= {"own-8gpu", "cloud-8gpu-low"}


async def test_the_same_night_twice_changes_nothing_and_another_night_adds_history(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    url = reference()
    await night(parameters(url))
    before = ask(home, "select * from operating_points order by all").rows
    await night(parameters(url))
    assert ask(home, "select * from operating_points order by all").rows == before
    await night(parameters(url, night=datetime(2026, 11, 21, 2, tzinfo=UTC)))
    assert ask(home, "select count(*), count(distinct night) from operating_points").rows == [(4, 2)]


async def test_a_night_knows_its_own_error_and_finds_it_out_once(
    home: Home,
    reference: Callable[..., str],
    parameters: Callable[..., NightParameters],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Comparison(
        streams=64, requests=128, ttft_error_mean_ms=0.1, ttft_error_p50_ms=0.02, ttft_error_p99_ms=0.3,
        itl_error_p50_ms=-0.01, itl_error_p99_ms=0.04, tokens_per_s=3051.0,
    )  # fmt: skip
    calls = []

    async def calibrated(*_: object) -> list[Comparison]:
        calls.append(1)
        return [step]

    monkeypatch.setattr("flows.night.calibrate", calibrated)
    url = reference()
    await night(parameters(url, calibrate=True))
    assert "client error at 64 streams: TTFT p50 +0.02 / p99 +0.30 ms" in capsys.readouterr().err
    [run] = ask(home, "select columns('calibration_.*') from runs").objects()
    assert run == {
        "calibration_streams": 64,
        "calibration_ttft_error_p50_ms": 0.02,
        "calibration_ttft_error_p99_ms": 0.3,
        "calibration_itl_error_p50_ms": -0.01,
        "calibration_itl_error_p99_ms": 0.04,
        "calibration_tokens_per_s": 3051.0,
    }
    await night(parameters(url, calibrate=True))  # measured already: there is nothing to calibrate for
    assert len(calls) == 1


async def test_a_calibration_that_cannot_run_costs_the_night_nothing(
    home: Home,
    reference: Callable[..., str],
    parameters: Callable[..., NightParameters],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def broken(*_: object) -> list[Comparison]:
        raise OSError("no port is free")

    monkeypatch.setattr("flows.night.calibrate", broken)
    await night(parameters(reference(), calibrate=True))
    assert "the client's own error stays unknown tonight: no port is free" in capsys.readouterr().err
    assert ask(home, "select status, calibration_streams from runs").rows == [("complete", None)]


async def test_the_same_night_twice_at_once_is_measured_once(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    url = reference()
    twice = [night(parameters(url, wait_s=60, publish=False)) for _ in range(2)]
    ids = await asyncio.gather(*twice)
    assert ids[0] == ids[1]
    assert statuses(home) == [(1, "complete")]


async def test_a_night_that_is_long_over_stays_a_gap(
    home: Home, parameters: Callable[..., NightParameters], capsys: pytest.CaptureFixture[str]
) -> None:
    due = datetime.now(UTC) - timedelta(hours=21)
    assert await night.fn(parameters("http://127.0.0.1:9", night=due, late_h=20)) == []
    assert "is over" in capsys.readouterr().err
    assert not home.incoming.exists() or not list(home.incoming.iterdir())
    assert manifests.read_all(home) == []


async def test_a_build_that_fails_is_told_beside_the_run_that_failed(
    home: Home, parameters: Callable[..., NightParameters], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise WarehouseError("no space left")

    monkeypatch.setattr("flows.publish.build", full)
    with pytest.raises(NightFailedError, match=r"(?s)connect_error.*no space left"):
        await night(parameters("http://127.0.0.1:9"))
    shown = await Artifact.aget("night")
    assert shown is not None and shown.description == "2 of 2 failed"
    run, build = json.loads(str(shown.data))
    assert (run["endpoint"], run["status"]) == ("e", "failed")
    assert "is the server up" in run["message"]
    assert (build["what"], build["message"]) == ("build and report", "no space left")


async def test_completions_are_measured_too(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    await night(parameters(reference(), api="completions", publish=False))
    [manifest] = manifests.read_all(home)
    assert (manifest.run["api"], manifest.run["status"]) == ("completions", "complete")


@pytest.mark.parametrize(
    ("options", "changes", "says"),
    [
        (["--api-key", "right"], {}, "401.*api_key_env"),
        (["--model", "another"], {}, "404.*check the model name"),
        (["--no-stream"], {}, "malformed.*must stream server-sent events"),
        (["--fault", "hang"], {"timeout_s": 0.5}, "timeout.*did not answer in time"),
    ],
)
async def test_an_endpoint_that_cannot_be_measured_fails_with_advice_and_leaves_rows(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters],
    options: list[str], changes: dict[str, Any], says: str,
) -> None:  # fmt: skip
    with pytest.raises(NightFailedError, match=says):
        await night(parameters(reference(*options), publish=False, **changes))
    [manifest] = manifests.read_all(home)
    assert manifest.run["status"] == "failed"
    # the first requests of the probe, each a row with its outcome
    assert 1 <= sum(part["rows"] for part in manifest.parts if part["table"] == "request_traces") <= 2
    assert not list(home.incoming.iterdir())


@pytest.mark.parametrize(
    ("url", "changes", "says"),
    [
        (
            "https",
            {"timeout_s": 0.5},
            r"timeout: 127.0.0.1:\d+ took the connection and did not answer the TLS.*http://",
        ),
        ("http", {"timeout_s": 0.5, "http2": True}, r"timeout: no complete answer.*does it not speak HTTP/2 \(http2\)"),
    ],
)
async def test_a_server_that_is_silent_because_it_is_spoken_to_otherwise_is_told_with_what_to_change(
    parameters: Callable[..., NightParameters], url: str, changes: dict[str, Any], says: str
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(NightFailedError, match=says),
    ):
        await night(parameters(f"{url}://127.0.0.1:{silent.getsockname()[1]}", publish=False, **changes))


async def test_a_plain_http_server_is_not_taken_for_one_that_is_down(
    reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    with pytest.raises(NightFailedError, match=r"connect_error: TLS with .*does it speak http:// rather than https://"):
        await night(parameters(reference().replace("http://", "https://"), publish=False))


async def test_an_unreachable_server_fails_with_advice(home: Home, parameters: Callable[..., NightParameters]) -> None:
    with pytest.raises(NightFailedError, match=r"connect_error.*is the server up"):
        await night(parameters("http://127.0.0.1:9"))
    assert ask(home, "select status from runs").rows == [("failed",)]


async def test_a_missing_key_variable_is_named(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    with pytest.raises(NightFailedError, match="environment variable NO_SUCH_KEY, which is not set"):
        await night(parameters(reference(), api_key_env="NO_SUCH_KEY", publish=False))


async def test_the_key_reaches_the_server_and_no_file(
    home: Home,
    reference: Callable[..., str],
    parameters: Callable[..., NightParameters],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REFERENCE_KEY", "sesame-7391")
    await night(parameters(reference("--api-key", "sesame-7391"), api_key_env="REFERENCE_KEY", publish=False))
    assert statuses(home) == [(1, "complete")]
    assert not [path for path in home.root.rglob("*") if path.is_file() and b"sesame-7391" in path.read_bytes()]


async def test_without_usage_rates_are_measured_and_token_costs_stay_unknown(
    home: Home,
    reference: Callable[..., str],
    parameters: Callable[..., NightParameters],
    capsys: pytest.CaptureFixture[str],
) -> None:
    await night(parameters(reference("--no-usage")))
    assert "sends no usage" in capsys.readouterr().err
    points = ask(home, "select request_rps, output_tps, output_tokens_mean, tpot_mean_ms from operating_points").rows
    assert all(rps > 0 and (tps, tokens, tpot) == (None, None, None) for rps, tps, tokens, tpot in points)
    # whether a point is valid, and so priced by the request, is up to how busy the machine is: transforms/test_economics
    costs = ask(home, "select usd_per_mtok from cost_per_million_tokens where price_kind <> 'api'").rows
    assert {per_token for (per_token,) in costs} == {None}


async def test_a_held_endpoint_is_not_loaded_twice(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    home.prepare()
    with endpoint_lock(home, "e", "the other run"), pytest.raises(NightFailedError, match=r"the other run.*--wait"):
        await night(parameters(reference(), publish=False))
    await night(parameters(reference(), publish=False))
    assert statuses(home) == [(1, "complete")]


async def test_a_failed_attempt_is_followed_by_a_second_that_stands_for_the_night(
    home: Home, reference: Callable[..., str], parameters: Callable[..., NightParameters]
) -> None:
    url = reference()
    port = url.rsplit(":", 1)[1]
    with pytest.raises(NightFailedError):
        await night(parameters(f"http://127.0.0.1:{port}/nowhere", publish=False))
    assert statuses(home) == [(1, "failed")]
    with pytest.raises(NightFailedError):
        await night(parameters(f"http://127.0.0.1:{port}/nowhere"))
    assert ask(home, "select attempt, status from runs order by attempt").rows == [(1, "failed"), (2, "failed")]


def test_a_report_that_cannot_be_drawn_hides_nothing_that_was_measured(
    home: Home, reference, parameters: Callable[..., NightParameters], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("no such filter")

    monkeypatch.setattr("reports.page.write_report", break_down)
    with pytest.raises(NightFailedError, match="not everything was published: RuntimeError: no such filter") as failed:
        asyncio.run(night(parameters(reference())))
    assert len(failed.value.run_ids) == 1
    assert ask(home, "select count(*) from operating_points").rows == [(2,)]


@pytest.mark.parametrize(
    ("schedule", "name"),
    [("canary", "Skipped"), ("weekly-saturation", "Skipped"), ("nightly", "Failed"), ("canari", "Failed")],
)
async def test_a_deployment_that_the_catalog_gives_nothing_to_do_is_skipped_and_a_mistake_fails(
    home: Home, parameters: Callable[..., NightParameters], monkeypatch: pytest.MonkeyPatch, schedule: str, name: str
) -> None:
    asked = parameters("http://127.0.0.1:9").model_copy(update={"suite": None, "schedule": schedule})
    with pytest.raises(UsageError, match=f"no suite has the schedule '{schedule}'"):  # by hand
        await night(asked)
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "of-a-schedule")
    state = await night(asked, return_state=True)
    assert state.name == name
    assert "no suite" in state.message and schedule in state.message
    assert manifests.read_all(home) == []


async def test_a_night_in_the_future_is_measured_and_said_to_be_the_newest_until_then(
    home: Home,
    reference: Callable[..., str],
    parameters: Callable[..., NightParameters],
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, ahead = reference(), datetime.now(UTC) + timedelta(days=400)
    await night(parameters(url, night=ahead, publish=False))
    said = " ".join(capsys.readouterr().err.split())
    assert f"the night of {ahead:%Y-%m-%d} is 400 days after today" in said
    assert "newest night in trends and for the gate" in said
    assert "`ratecard retract RUN --why TEXT`" in said
    assert statuses(home) == [(1, "complete")]
    await night(
        parameters(url, night=datetime.now(UTC) + timedelta(days=1), publish=False)
    )  # the date line is no mistake
    assert "after today" not in capsys.readouterr().err

"""`ratecard doctor`: each check finds what it looks for and says what to do, and its exit code is a script's friend."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click.testing
import httpx
import pytest
import yaml
from packaging.requirements import Requirement

from flows import clocks, endpoint_checks, machine
from flows.checks import Check
from flows.cli import cli
from flows.doctor import examine
from loadgen.plan import probe_spec
from loadgen.scrape import Scraper
from loadgen.spec import PromptScale
from schemas.catalog.endpoints import Endpoint
from schemas.errors import UsageError
from warehouse.home import Home, endpoint_lock

GIB = 2**30


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.prefect_api.reach_prefect", lambda: None)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def endpoints(tmp_path: Path, home: Home) -> Callable[..., dict[str, Check]]:
    """Writes a catalog of these endpoints, examines it, and returns the checks by name."""

    def examined(**catalog: dict[str, Any]) -> dict[str, Check]:
        folder = tmp_path / "catalog"
        folder.mkdir()
        (folder / "endpoints.yaml").write_text(yaml.safe_dump(catalog))
        return {check.check: check for check in asyncio.run(examine(home, str(folder), quick=True))}

    return examined


def test_each_endpoint_is_asked_and_told_apart(
    reference: Callable[..., str], endpoints: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG_KEY", "guess")
    good = reference()

    def at(url: str, **more: Any) -> dict[str, Any]:
        return {"url": url, "model": "m", "timeout_s": 30.0, **more}

    checks = endpoints(
        good=at(good),
        uncounted=at(reference("--no-usage")),
        whole=at(reference("--no-stream")),
        bundled=at(reference("--tokens-per-chunk", "64")),
        locked=at(reference("--api-key", "sesame"), api_key_env="WRONG_KEY"),
        keyless=at(good, api_key_env="NO_SUCH_KEY"),
        nameless=at(good, proxy="http://127.0.0.1:9", proxy_auth_env="NO_SUCH_LOGIN"),
        gone=at("http://127.0.0.1:9"),
        local={"launch": {"engine": "llama"}},
    )
    found = {name.removeprefix("endpoint "): check for name, check in checks.items() if name.startswith("endpoint ")}
    assert {name: check.status for name, check in found.items() if name != "local"} == {
        "good": "ok", "uncounted": "warning", "whole": "failed", "bundled": "warning", "locked": "failed",
        "keyless": "failed", "nameless": "failed", "gone": "failed",
    }, found  # fmt: skip
    assert "answers, streams, sends usage" in found["good"].found
    assert "4 out in " in found["good"].found
    assert checks["metrics gone"].found.startswith("no Prometheus page of a known engine")
    assert checks["metrics good"].found.startswith("its Prometheus page is read as that of")
    assert "stream_options.include_usage" in found["uncounted"].to_do
    assert "must stream server-sent events" in found["whole"].to_do
    assert "proxy_buffering" in found["bundled"].to_do
    assert "refuses the key in WRONG_KEY" in found["locked"].to_do
    assert found["keyless"].to_do.startswith("export NO_SUCH_KEY=")
    assert found["nameless"].to_do == "export NO_SUCH_LOGIN=… with USER:PASSWORD for its proxy"
    assert "is the server up" in found["gone"].to_do
    assert all(check.to_do for check in checks.values() if check.status == "failed")


def test_an_endpoint_that_is_silent_for_longer_than_doctor_waits_may_only_be_slow(
    reference: Callable[..., str], endpoints: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.endpoint_checks.PATIENCE_S", 0.3)
    check = endpoints(slow={"url": reference("--fault", "hang"), "model": "m"})["endpoint slow"]
    assert check.found == "timeout: no complete answer within 0.3 s"
    assert "is it stuck, or is the 0.3 s that doctor waits too short?" in check.to_do


def test_an_engines_page_that_is_late_once_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([503, 200])
    page = httpx.MockTransport(lambda request: httpx.Response(next(answers), text="vllm:num_requests_running 1\n"))
    monkeypatch.setattr("flows.endpoint_checks.Scraper", partial(Scraper, transport=page))
    monkeypatch.setattr("loadgen.scrape._PERIOD_S", 0.01)
    endpoint = Endpoint(url="http://engine:8000", model="m")
    spec = probe_spec(endpoint_checks._probe_plan("e", endpoint), 0, PromptScale(), Path("nowhere"))
    check = asyncio.run(endpoint_checks._metrics("e", endpoint, spec))
    assert check.found == "its Prometheus page is read as that of vllm"


def test_an_endpoint_under_load_is_left_alone(home: Home, endpoints: Callable[..., dict[str, Check]]) -> None:
    home.prepare()
    with endpoint_lock(home, "busy", "tonight's run"):
        checks = endpoints(busy={"url": "http://127.0.0.1:9", "model": "m"})
    assert checks["endpoint busy"].status == "warning"
    assert "tonight's run" in checks["endpoint busy"].found


@pytest.fixture
def read_only(home: Home) -> Iterator[None]:
    """The home is there and may not be written, by root neither."""
    home.prepare()
    if os.geteuid():
        home.locks.chmod(0o555)
        yield
        home.locks.chmod(0o755)
        return
    mounts = [["mount", "--bind", home.root, home.root], ["mount", "-o", "remount,bind,ro", home.root]]
    if any(subprocess.run(mount, capture_output=True, check=False).returncode for mount in mounts):
        pytest.skip("nothing can be mounted here")
    yield
    subprocess.run(["umount", home.root], check=True)


@pytest.mark.usefixtures("read_only")
def test_a_home_that_may_not_be_written_is_told_once_and_not_as_the_endpoints_failure(
    home: Home, endpoints: Callable[..., dict[str, Check]]
) -> None:
    checks = endpoints(e={"url": "http://127.0.0.1:9", "model": "m"})
    told = checks["data home"]
    assert (told.status, f"{home.root}" in told.found, "cannot be written to" in told.found) == ("failed", True, True)
    assert "give this user the right to write there, or choose another with --home DIR" in told.to_do
    asked = checks["endpoint e"]
    assert (asked.status, asked.to_do) == ("warning", "see data home, then ask again")
    assert "not asked: a run may be measuring it" in asked.found


def test_without_a_home_or_endpoints_of_ones_own_nothing_is_left_behind(home: Home) -> None:
    checks = {check.check: check for check in asyncio.run(examine(home, None, quick=True))}
    assert list(checks) == [
        "python", "packages", "receiver", "cpu", "cores", "open files", "data home", "disk", "wall clock", "time service",
        "kernel stamps", "prefect", "catalog", "endpoint demo-llama",
    ]  # fmt: skip
    assert checks["packages"].status == "ok", checks["packages"]
    assert checks["data home"].found.endswith("to be made")
    assert not home.root.exists()


def test_a_catalog_with_mistakes_is_a_failed_check(home: Home, tmp_path: Path) -> None:
    (tmp_path / "endpoints.yaml").write_text("e: {url: nowhere, model: m}\n")
    checks = {check.check: check for check in asyncio.run(examine(home, str(tmp_path), quick=True))}
    assert checks["catalog"].status == "failed"
    assert "endpoints.yaml:1: e.url: found 'nowhere'" in checks["catalog"].found


def test_a_prefect_server_that_is_set_and_silent_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> None:
        raise UsageError("PREFECT_API_URL is http://x/api, and nothing answers there (refused): start that server")

    monkeypatch.setattr("flows.prefect_api.reach_prefect", silent)
    checks = {check.check: check for check in asyncio.run(examine(home, None, quick=True))}
    assert checks["prefect"].status == "failed"
    assert checks["prefect"].to_do == "start that server"


def test_packages_that_are_absent_or_out_of_bounds_are_named() -> None:
    problem = machine._problem_with
    assert problem(Requirement("no-such-package"), {}) == "no-such-package is not installed"
    assert str(problem(Requirement("click>=99"), {})).endswith("is not >=99")
    assert "cannot be imported" in str(problem(Requirement("click"), {"click": ["no_such_module"]}))
    assert problem(Requirement("click>=8"), {"click": ["click"]}) is None


def test_a_cpu_too_old_for_the_demo_is_seen() -> None:
    assert machine.missing_cpu_flags("processor : 0\nflags\t\t: fpu avx2 f16c\n") == ["fma"]
    assert machine.missing_cpu_flags("flags : fpu fma avx2 f16c\n") == []


@pytest.mark.parametrize(("free", "status"), [(GIB // 2, "failed"), (5 * GIB, "warning"), (50 * GIB, "ok")])
def test_a_disk_that_fills_up_is_told_in_time(
    home: Home, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free))
    assert machine._disk(home).status == status


def test_a_home_below_a_file_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = machine._home_writable(Home(tmp_path / "file" / "home"))
    assert (check.status, check.found) == ("failed", f"{tmp_path / 'file'} cannot be written to")
    assert "--home DIR" in check.to_do


@pytest.mark.parametrize(("state", "status"), [(0, "ok"), (5, "warning"), (None, "warning")])
def test_a_clock_that_nobody_keeps_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, state: int | None, status: str
) -> None:
    monkeypatch.setattr(clocks, "_adjtimex", lambda: state)
    assert clocks._time_service().status == status


def test_a_wall_clock_that_is_set_meanwhile_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "WATCH_S", 0.0)
    readings = iter([1_000_000_000, 1_003_000_000])
    monkeypatch.setattr(clocks, "_wall_minus_monotonic_ns", lambda: next(readings))
    check = clocks._wall_clock()
    assert (check.status, "+3.000 ms" in check.found) == ("warning", True)


def test_a_socket_that_was_not_asked_has_no_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "ask_kernel_stamps", lambda _: None)
    monkeypatch.setattr(clocks, "STAMP_TRIES", 1)
    assert not clocks.kernel_stamps_arrive()
    assert clocks._kernel_stamps().status == "warning"


@pytest.mark.parametrize(("status", "exit_code"), [("ok", 0), ("warning", 0), ("failed", 1)])
def test_only_a_failed_check_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, status: Any, exit_code: int) -> None:
    async def one(*_: object, quick: bool) -> list[Check]:
        return [Check("disk", status, "half full", "buy one")]

    monkeypatch.setattr("flows.doctor.examine", one)
    result = click.testing.CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == exit_code
    assert json.loads(result.stdout) == [{"check": "disk", "status": status, "found": "half full", "to_do": "buy one"}]
    assert "buy one" in click.testing.CliRunner().invoke(cli, ["doctor"]).stdout

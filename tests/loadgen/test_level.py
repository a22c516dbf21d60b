"""A level keeps its promises about slots, counts and durations, and every request becomes a row."""

import asyncio
import socket
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from loadgen.spec import Shape, ShardSpec, StopRules, Target
from loadgen.worker import run_shard
from schemas.arrow import arrow_schema
from schemas.columns import CLIENT_HEALTH
from schemas.errors import PartError, SpecError


@pytest.fixture
def well_behaved(wire):
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.01)
        writer.write(wire.stream("a", "b", "c", prompt=50))

    return answer


def test_every_request_is_a_row_of_the_contract(run_level, well_behaved) -> None:
    result = run_level(well_behaved, warmup_requests=3, requests=6)
    assert [row["request_index"] for row in sorted(result.rows, key=lambda row: row["request_index"])] == list(range(9))
    assert Counter(row["phase"] for row in result.rows) == {"warmup": 3, "measure": 6}
    assert {row["outcome"] for row in result.rows} == {"ok"}
    assert {row["output_tokens"] for row in result.rows} == {3}
    assert result.done["outcomes"] == {"ok": 9}
    assert result.done["rows"] == 9
    assert not result.done["interrupted"]
    assert result.done["stop_reason"] == "count"
    assert result.events[-1]["planned"] == result.events[-1]["done"] == 9


def test_the_server_is_always_asked_for_usage_and_never_for_compression(run_level, well_behaved) -> None:
    result = run_level(well_behaved, requests=1)
    assert result.server.bodies[0]["stream_options"] == {"include_usage": True}
    assert result.server.bodies[0]["max_tokens"] == 3
    assert "accept-encoding: identity" in result.server.heads[0].lower()


def test_warm_up_comes_first_and_prompts_are_never_repeated(run_level, well_behaved) -> None:
    result = run_level(well_behaved, warmup_requests=4, requests=8, concurrency=3)
    phases = [row["phase"] for row in sorted(result.rows, key=lambda row: row["request_index"])]
    assert phases == ["warmup"] * 4 + ["measure"] * 8
    assert len({row["prompt_sha256"] for row in result.rows}) == 12


def test_the_concurrency_is_held_and_never_exceeded(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.1)
        writer.write(wire.stream("a"))

    result = run_level(answer, concurrency=4, requests=16)
    assert result.server.peak == 4
    assert result.done["health"]["connections_opened"] == result.server.connections <= 12
    spans = [(row["sent_ns"], row["closed_ns"]) for row in result.rows]
    busy = sum(end - start for start, end in spans) / (max(e for _, e in spans) - min(s for s, _ in spans))
    assert 3.2 < busy <= 4


def test_a_slot_is_scheduled_when_its_last_request_ended(run_level, well_behaved) -> None:
    result = run_level(well_behaved, concurrency=1, requests=3)
    rows = sorted(result.rows, key=lambda row: row["request_index"])
    assert [row["scheduled_ns"] for row in rows[1:]] == [row["closed_ns"] for row in rows[:-1]]
    assert all(row["scheduled_ns"] <= row["sent_ns"] for row in rows)


def test_the_slots_of_a_shard_that_begins_late_were_free_at_the_common_start(run_level, well_behaved) -> None:
    result = run_level(well_behaved, concurrency=2, requests=6, start_at=time.time() - 2)
    assert result.done["health"]["late_start_ms"] >= 2000
    waited = [row["sent_ns"] - row["scheduled_ns"] for row in sorted(result.rows, key=lambda row: row["request_index"])]
    assert min(waited[:2]) >= 2e9
    assert max(waited[2:]) < 2e9  # their slots became free when an answer had come
    assert result.done["health"]["late_sends"] >= 2


def test_a_duration_ends_the_level(run_level, well_behaved) -> None:
    result = run_level(well_behaved, requests=None, duration_s=0.5)
    assert len(result.rows) > 5
    started = min(row["sent_ns"] for row in result.rows)
    assert max(row["sent_ns"] for row in result.rows) - started <= 0.5e9
    assert result.events[-1]["planned"] is None


def test_a_duration_waits_for_the_least_number_of_requests(run_level, well_behaved) -> None:
    assert len(run_level(well_behaved, requests=None, duration_s=0.001, min_requests=7).rows) >= 7


def test_the_longest_duration_ends_a_level_of_a_count(run_level, well_behaved) -> None:
    assert 0 < len(run_level(well_behaved, requests=10_000, max_duration_s=0.3).rows) < 10_000


def test_a_level_of_failures_is_stopped_and_says_why(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.sized(b'{"error": "no such key"}', "401 Unauthorized"))

    result = run_level(answer, requests=500, error_share=0.5)
    assert result.done["stop_reason"] == "error_share"
    assert 3 <= len(result.rows) <= 5
    assert {row["outcome"] for row in result.rows} == {"http_error"}
    assert result.done["first_failure"] == {
        "outcome": "http_error", "http_status": 401, "error": 'HTTP 401: {"error": "no such key"}', "sent": True,
    }  # fmt: skip


def test_a_few_failures_do_not_stop_a_level(run_level, wire) -> None:
    seen = Counter()

    async def answer(body, writer) -> None:
        seen["requests"] += 1
        bad = seen["requests"] % 4 == 0
        writer.write(wire.sized(b"busy", "503 Service Unavailable") if bad else wire.stream("a"))

    result = run_level(answer, requests=40, error_share=0.5)
    assert result.done["outcomes"] == {"ok": 30, "http_error": 10}
    assert result.done["stop_reason"] == "count"


def test_an_unreachable_endpoint_gives_rows(make_spec) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        spec = make_spec(f"http://127.0.0.1:{unused.getsockname()[1]}/v1", requests=50, error_share=0.5)
        done = asyncio.run(run_shard(spec, lambda event: None, lambda level: None))
    rows = [row for part in done["parts"] for row in pq.read_table(part).to_pylist()]
    assert {row["outcome"] for row in rows} == {"connect_error"}
    assert rows[0]["sent_ns"] is None
    assert done["stop_reason"] == "error_share"


def test_an_answer_that_never_comes_is_a_timeout(run_level) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(30)

    result = run_level(answer, requests=2, target={"timeout_s": 0.3})
    assert result.done["outcomes"] == {"timeout": 2}


def test_json_instead_of_a_stream_is_malformed(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.sized(b'{"choices": [{"message": {"content": "hello"}}]}'))

    result = run_level(answer, requests=2)
    assert result.done["outcomes"] == {"malformed": 2}
    assert "does not stream" in result.done["first_failure"]["error"]


def test_an_interruption_lands_what_was_measured_and_what_was_in_flight(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        writer.write(wire.STREAM_HEAD + wire.chunk(wire.token("a")))
        await writer.drain()
        await asyncio.sleep(0.3)
        if len(server_bodies) > 2:
            await asyncio.sleep(30)
        writer.write(wire.chunk(wire.finish()) + wire.END)

    server_bodies: list[int] = []

    async def counted(body, writer) -> None:
        server_bodies.append(1)
        await answer(body, writer)

    result = run_level(counted, requests=100, interrupt_after_s=1.5)
    assert result.done["interrupted"]
    assert result.done["outcomes"]["interrupted"] == 2
    cut = [row for row in result.rows if row["outcome"] == "interrupted"]
    assert all(row["token_chunks"] == 1 and row["sent_ns"] is not None for row in cut)
    assert result.done["first_failure"] is None  # an interruption is no failure of the endpoint


def test_an_interruption_while_waiting_for_the_common_start_sends_nothing(run_level, well_behaved) -> None:
    result = run_level(well_behaved, start_at=4e9, interrupt_after_s=0.3)
    assert result.done["interrupted"]
    assert result.rows == []
    assert result.server.bodies == []


def test_a_probe_sends_one_at_a_time_and_reports_lengths_and_counts(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.05)
        chars = len(body["messages"][0]["content"])
        writer.write(wire.stream("a", prompt=5 + chars // 4))

    result = run_level(answer, phase="probe", requests=2, concurrency=4)
    # 25 and 75 tokens at 4 characters each, counted by the server as 5 more
    assert result.done["probe"] == [{"chars": 100, "input_tokens": 30}, {"chars": 300, "input_tokens": 80}]
    assert result.server.peak == 1
    assert {row["phase"] for row in result.rows} == {"probe"}


def test_the_key_goes_to_the_server_and_nowhere_else(run_level, wire, monkeypatch) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-very-secret")

    async def answer(body, writer) -> None:
        writer.write(wire.sized(b"no access with sk-very-secret", "403 Forbidden"))

    result = run_level(answer, requests=1, target={"api_key_env": "TEST_KEY"})
    assert "authorization: bearer sk-very-secret" in result.server.heads[0].lower()
    assert "sk-very-secret" not in str(result.rows) + str(result.done)


@pytest.mark.parametrize("key", ["sk-very\u2026secret", "sk-very\nsecret"])
def test_a_key_that_no_header_can_carry_is_told_by_its_name(run_level, well_behaved, monkeypatch, key: str) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(SpecError, match="TEST_KEY has characters") as caught:
        run_level(well_behaved, requests=1, target={"api_key_env": "TEST_KEY"})
    assert "secret" not in str(caught.value)


def test_completions_are_read_too(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        event = wire.event({"choices": [{"text": body["prompt"][:1], "finish_reason": "length"}]})
        writer.write(wire.STREAM_HEAD + wire.chunk(event) + wire.END)

    result = run_level(answer, requests=2, target={"api": "completions"})
    assert result.done["outcomes"] == {"ok": 2}
    assert {row["api"] for row in result.rows} == {"completions"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stop": StopRules(None, None, 0, 60.0, 1.0)}, "requests is null"),
        ({"shape": Shape(kind="half-open")}, "shape.kind is 'half-open'"),
        ({"shape": Shape(kind="closed", concurrency=0)}, "shape.concurrency is 0"),
        ({"shape": Shape(kind="open", arrivals="poisson")}, "shape.rate is None"),
        ({"shape": Shape(kind="open", arrivals="lunar", rate=1.0)}, "shape.arrivals is 'lunar'"),
        ({"phase": "rehearsal"}, "phase is 'rehearsal'"),
        ({"identity": {"run_id": "r"}}, "identity lacks attempt, suite"),
        ({"identity": {"color": "red"}}, "identity has color"),
        ({"target": Target("http://x/v1", "images", "m")}, "target.api is 'images'"),
        ({"target": Target("http://x/v1", "chat", "m", "NO_SUCH_KEY")}, "environment variable NO_SUCH_KEY"),
    ],
)
def test_a_spec_that_cannot_be_run_says_what_is_wrong(make_spec, fields, message: str) -> None:
    spec = make_spec("http://127.0.0.1:1/v1")
    fields = {name: getattr(spec, name) for name in spec.__dataclass_fields__} | fields
    with pytest.raises(SpecError, match=message):
        asyncio.run(run_shard(ShardSpec(**fields), lambda event: None, lambda level: None))


def test_a_folder_that_cannot_be_written_shows_before_any_request(run_level, well_behaved) -> None:
    with pytest.raises(PartError, match=r"cannot write /proc/nowhere/part\.parquet"):
        run_level(well_behaved, part_path="/proc/nowhere/part.parquet")


def test_a_part_that_can_no_longer_be_written_ends_the_level(run_level, wire, monkeypatch) -> None:
    def full(self, row) -> None:
        raise PartError("cannot write: the disk is full")

    async def answer(body, writer) -> None:
        if not answered:
            answered.append(1)
            writer.write(wire.stream("a"))
            return
        await asyncio.sleep(30)

    answered: list[int] = []
    monkeypatch.setattr("loadgen.parts.PartWriter.add", full)
    with pytest.raises(PartError, match="disk is full"):
        run_level(answer, requests=100)  # and does not wait for what hangs


def test_the_clients_own_health_is_written_beside_the_traces(run_level, wire) -> None:
    async def answer(body, writer) -> None:
        await asyncio.sleep(0.4)
        writer.write(wire.stream("a", "b"))

    result = run_level(answer, requests=6)  # 3 rounds of 0.4 s
    part = Path(result.spec.part_path).with_suffix(".client_health.parquet")
    table = pq.read_table(part)
    assert table.schema.equals(arrow_schema(CLIENT_HEALTH))
    rows = table.to_pylist()
    assert len(rows) >= 2
    assert 1.0 <= rows[0]["elapsed_s"] < rows[-1]["elapsed_s"]
    assert rows[0]["in_flight"] <= 2
    assert rows[-1]["sent"] == rows[-1]["done"] == 6
    assert sum(row["reads"] for row in rows) == sum(row["reads"] for row in result.rows)
    assert rows[-1]["requests_on_reused"] == sum(row["connect_ns"] is None for row in result.rows)
    assert rows[-1]["connections_open"] >= 2

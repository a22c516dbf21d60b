"""The local engine over HTTP, with a model small enough to be made and run in seconds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from endpoints.llama import CannotServeError, check_cpu
from tests.endpoints.children import Child, spawn

SMALL = ("--hidden", 256, "--layers", 1, "--ffn", 256, "--vocabulary", 1024)
EXACT = {"max_tokens": 24, "stream": True, "ignore_eos": True, "cache_prompt": False}
USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("xllamacpp")
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def engine(models: Path) -> Iterator[Child]:
    with spawn("endpoints.llama", "--model-dir", models, *SMALL, "--log", models / "engine.log") as child:
        yield child


def ask(engine: Child, path: str, **body: Any) -> tuple[list[str], dict[str, Any]]:
    """Stream once; the texts of the chunks and the usage."""
    response = httpx.post(f"{engine.url}/{path}", json=EXACT | USAGE | {"model": "m"} | body, timeout=30)
    assert response.status_code == 200
    *data, done = (line.removeprefix("data: ") for line in response.text.split("\n\n") if line)
    assert done == "[DONE]"
    events = [json.loads(line) for line in data]
    choices = [event["choices"][0] for event in events if event["choices"]]
    assert choices[-1]["finish_reason"] == "length"
    texts = [choice["delta"].get("content") if path.startswith("chat") else choice["text"] for choice in choices]
    (usage,) = (event["usage"] for event in events if event.get("usage"))
    return [text for text in texts if text], usage


def test_it_says_that_it_makes_a_model_and_then_where_it_serves(engine: Child) -> None:
    assert [event["event"] for event in engine.events[:-1]] == ["progress"] * (len(engine.events) - 1)
    assert any("random weights" in event["message"] for event in engine.events[:-1])
    assert engine.ready["event"] == "ready"
    assert engine.url.startswith("http://127.0.0.1:")
    assert engine.ready["engine"] == "llama.cpp"
    assert engine.ready["engine_version"].startswith("xllamacpp 20")


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_one_chunk_a_token_exact_length_and_nothing_cached(engine: Child, path: str) -> None:
    text = "def measure(request, tokens): return tokens / request.seconds"
    prompt = {"messages": [{"role": "user", "content": text}]} if path.startswith("chat") else {"prompt": text}
    for _ in range(2):  # a prompt that it has seen is computed again
        texts, usage = ask(engine, path, **prompt)
        assert len(texts) == usage["completion_tokens"] == 24
        assert usage["prompt_tokens_details"]["cached_tokens"] == 0


def test_prompt_tokens_grow_with_characters_and_the_chat_template_adds_none(engine: Child) -> None:
    text = "import asyncio; value = self.tokens[index] " * 20
    counts = [ask(engine, "completions", prompt=text[:chars])[1]["prompt_tokens"] for chars in (200, 400, 800)]
    assert counts[1] == pytest.approx(2 * counts[0], rel=0.1)
    assert counts[2] == pytest.approx(4 * counts[0], rel=0.1)
    chat = ask(engine, "chat/completions", messages=[{"role": "user", "content": text[:200]}])[1]["prompt_tokens"]
    assert chat == counts[0]


def test_a_prompt_beyond_ascii_is_read_too(engine: Child) -> None:
    assert len(ask(engine, "completions", prompt="Grüße, 世界 🙂")[0]) == 24


def test_its_counters_are_open(engine: Child) -> None:
    ask(engine, "completions", prompt="count me")
    metrics = httpx.get(engine.ready["metrics_url"]).text
    predicted = next(line for line in metrics.splitlines() if line.startswith("llamacpp:tokens_predicted_total "))
    assert float(predicted.split()[1]) >= 24


def test_the_end_of_stdin_ends_it_and_stdout_held_nothing_else(models: Path) -> None:
    with spawn("endpoints.llama", "--model-dir", models, *SMALL) as child:
        ask(child, "completions", prompt="chatter")
        assert child.close_stdin() == 0
        assert child.process.stdout is not None
        assert child.process.stdout.read() == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(child.ready["metrics_url"])


def test_sigterm_ends_it_in_the_middle_of_a_stream(models: Path) -> None:
    with spawn("endpoints.llama", "--model-dir", models, *SMALL) as child:
        body = EXACT | {"model": "m", "prompt": "long", "max_tokens": 4000}
        with httpx.stream("POST", f"{child.url}/completions", json=body, timeout=30) as response:
            next(response.iter_raw())
            child.process.send_signal(signal.SIGTERM)
            assert child.process.wait(timeout=5) == 0


def test_a_taken_port_is_an_error_event(engine: Child, models: Path) -> None:
    with spawn("endpoints.llama", "--model-dir", models, *SMALL, "--port", engine.address[1]) as child:
        assert child.ready["event"] == "error"
        assert str(engine.address[1]) in child.ready["message"]
        assert child.process.wait(timeout=10) == 1


def test_a_folder_that_cannot_be_made_is_an_error_event(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "file").touch()
    with spawn("endpoints.llama", "--model-dir", tmp_path / "file" / "models") as child:
        assert child.ready["event"] == "error"
        assert str(tmp_path / "file") in child.ready["message"]
        assert child.process.wait(timeout=10) == 1


def test_a_missing_engine_names_the_extra_to_install(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('no such wheel')")
    done = subprocess.run(
        [sys.executable, "-m", "endpoints.llama", "--model-dir", tmp_path / "models"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "pip install 'ratecard[demo]'" in json.loads(done.stdout)["message"]


def test_a_cpu_without_avx2_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu sse4_2 avx f16c\n")
    with pytest.raises(CannotServeError, match="no AVX2, FMA,"):
        check_cpu(cpuinfo)
    cpuinfo.write_text("flags : avx2 fma f16c\n")
    check_cpu(cpuinfo)

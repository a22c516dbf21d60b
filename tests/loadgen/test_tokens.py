"""With a tokenizer file, prompts have the number of tokens asked for by its count."""

import sys
from pathlib import Path
from typing import Any

import pytest

from loadgen.prompts import make_prompt
from loadgen.spec import PromptScale
from loadgen.tokens import ByTokenizer, Tokenizer
from schemas.errors import SpecError
from tests.loadgen.queues import all_jobs, queue_of, text


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE of 500 tokens, trained on words such as prompts are made of."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer: Any = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=500, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([make_prompt(20_000, "training")], trainer)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(file))
    return file


@pytest.mark.parametrize("tokens", [1, 2, 7, 50, 333, 2000])
def test_a_text_counts_as_many_tokens_as_asked_for(path: Path, tokens: int) -> None:
    ruler = ByTokenizer(Tokenizer(str(path)), overhead=0.0)
    for number in range(10):
        words = ruler.text(tokens, f"key {number}")
        assert ruler.count(words) == tokens
        assert words == ruler.text(tokens, f"key {number}")


def test_a_text_after_a_head_counts_both(path: Path) -> None:
    ruler = ByTokenizer(Tokenizer(str(path)), overhead=0.0)
    head = ruler.text(40, "head")
    assert ruler.count(ruler.text(100, "key", head)) == 100
    assert ruler.text(100, "key", head).startswith(head)
    assert len(ruler.text(10, "key", head)) > len(head)
    assert ruler.count(ruler.cut(head, 30)) == 30


def test_a_level_counts_the_overhead_on_top(path: Path, make_spec) -> None:
    target = {"tokenizer": str(path)}
    jobs = all_jobs(make_spec("http://x/v1", target=target, prompt_scale=PromptScale(0.0, 12.0), input_tokens=100))
    count = Tokenizer(str(path)).count
    assert {count(text(job)) for job in jobs} == {88}
    assert {job.target_input_tokens for job in jobs} == {100}
    assert {job.local_tokens for job in jobs} == {None}


def test_a_probe_tells_the_tokenizers_count(path: Path, make_spec) -> None:
    jobs = all_jobs(make_spec("http://x/v1", target={"tokenizer": str(path)}, phase="probe", requests=3))
    count = Tokenizer(str(path)).count
    assert [job.local_tokens for job in jobs] == [count(text(job)) for job in jobs]
    # by characters as long as the tokenizer has not been compared with the server
    assert [job.prompt_chars for job in jobs] == [100, 200, 300]


def test_a_tokenizer_that_truncates_counts_whole_texts(path: Path, tmp_path: Path) -> None:
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(max_length=16)
    tokenizer.save(str(tmp_path / "truncating.json"))
    ruler = ByTokenizer(Tokenizer(str(tmp_path / "truncating.json")), overhead=0.0)
    assert ruler.count(ruler.text(100, "key")) == 100


def test_a_tokenizer_without_words_for_a_prompt_is_told(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(tmp_path / "empty.json"))
    ruler = ByTokenizer(Tokenizer(str(tmp_path / "empty.json")), overhead=0.0)
    with pytest.raises(SpecError, match="counts fewer than 10 tokens in"):
        ruler.text(10, "key")


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path, make_spec) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "broken.json").write_text("{")
    for name in ("broken.json", "gone.json"):
        with pytest.raises(SpecError, match=rf"{name}: not a tokenizer\.json that can be read"):
            queue_of(make_spec("http://x/v1", target={"tokenizer": str(tmp_path / name)}, phase="probe"))


def test_the_package_that_is_missing_is_named(path: Path, make_spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(SpecError, match="pip install tokenizers"):
        queue_of(make_spec("http://x/v1", target={"tokenizer": str(path)}, phase="probe"))

"""The model file: the same bytes for the same seed, whole or not there, never an old recipe's."""

import subprocess
import sys
from pathlib import Path

import pytest

from endpoints import ascii_tokenizer, random_llama
from endpoints.random_llama import Recipe

pytest.importorskip("gguf")
pytest.importorskip("tokenizers")

TINY = Recipe(hidden=64, layers=1, heads=2, kv_heads=1, ffn=128, vocabulary=320)


def test_the_default_is_a_llama_of_28_million_weights() -> None:
    # 2 x 4096 x 512 embeddings; a layer: 2 x 512 x 512 + 2 x 256 x 512 (4 of 8 heads) + 3 x 1408 x 512
    assert Recipe().parameters == 2 * 4096 * 512 + 8 * (2 * 512 * 512 + 2 * 256 * 512 + 3 * 1408 * 512)
    assert Recipe().model_name == "random-llama-28m"


def test_a_shape_that_cannot_be_quantised_is_refused() -> None:
    with pytest.raises(ValueError, match="ffn 100"):
        Recipe(ffn=100)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first = random_llama.ensure(tmp_path / "a", TINY).read_bytes()
    assert random_llama.ensure(tmp_path / "b", TINY).read_bytes() == first
    other = Recipe(**{**{name: getattr(TINY, name) for name in TINY.__dataclass_fields__}, "seed": 1})
    assert random_llama.ensure(tmp_path / "a", other).read_bytes() != first


def test_a_cached_file_is_used_and_one_of_an_older_recipe_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = random_llama.ensure(tmp_path, TINY)
    told: list[str] = []
    assert random_llama.ensure(tmp_path, TINY, told.append) == cached
    assert told == []
    monkeypatch.setattr(random_llama, "RECIPE_VERSION", random_llama.RECIPE_VERSION + 1)
    assert random_llama.ensure(tmp_path, TINY, told.append) != cached
    assert told


def test_a_failure_in_the_middle_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, *_: object) -> None:
        path.write_bytes(b"GGUF")
        raise OSError("no space left on device")

    monkeypatch.setattr(random_llama, "_write", half)
    with pytest.raises(OSError, match="no space"):
        random_llama.ensure(tmp_path, TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_maker_leaves_no_file_under_the_models_name(tmp_path: Path) -> None:
    (tmp_path / f".{TINY.file_name}.dead.tmp").write_bytes(b"GGUF")
    made = random_llama.ensure(tmp_path, TINY).read_bytes()
    assert made == random_llama.ensure(tmp_path / "clean", TINY).read_bytes()


def test_two_processes_at_once_both_get_a_whole_file(tmp_path: Path) -> None:
    code = f"import sys, pathlib; from endpoints.random_llama import *; ensure(pathlib.Path(sys.argv[1]), {TINY!r})"
    makers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [maker.wait(timeout=60) for maker in makers] == [0, 0]
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == random_llama.ensure(tmp_path / "alone", TINY).read_bytes()


def test_every_token_that_can_be_generated_is_ascii() -> None:
    vocabulary = ascii_tokenizer.train(400)
    # GPT-2's alphabet has 188 printable bytes as themselves (of which 94 are ASCII) and 68 others from U+0100 on,
    # in the order of their bytes: 0-32 and 127 (34 bytes, ASCII), then 128-160 and 173.
    speakable = [token for i, token in enumerate(vocabulary.tokens) if i not in vocabulary.silent]
    assert all(letter < "\x7f" or "\u0100" <= letter <= "\u0121" for token in speakable for letter in token)
    assert len(vocabulary.silent) == 1 + 128
    assert vocabulary.end_of_text in vocabulary.silent

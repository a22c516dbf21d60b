"""A byte-pair tokenizer whose merged tokens are plain ASCII, trained on the standard library's own sources.

ASCII matters: a token that ends inside a multi-byte character is held back by the server until the character is
whole, and two tokens then share a chunk. With ASCII tokens one token is one chunk.
"""

import json
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"
CORPUS_BYTES = 3_000_000


class CorpusError(RuntimeError):
    """There are too few library sources to train on."""


@dataclass(frozen=True)
class Vocabulary:
    """`tokens[i]` is the text of token i (GPT-2 byte alphabet); `silent` ids must never be generated."""

    tokens: list[str]
    merges: list[str]
    end_of_text: int
    silent: list[int]


def train(size: int) -> Vocabulary:
    """Train a vocabulary of `size` tokens (at least 300). The same Python and size give the same vocabulary.

    Raises CorpusError where the standard library comes without sources.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=[END_OF_TEXT], show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    ids: dict[str, int] = model["vocab"]
    tokens = sorted(ids, key=ids.__getitem__)
    if len(tokens) != size:
        raise CorpusError(f"the library's sources gave {len(tokens)} tokens instead of {size}: ask for fewer")
    return Vocabulary(
        tokens=tokens,
        merges=[pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]],
        end_of_text=ids[END_OF_TEXT],
        silent=[ids[END_OF_TEXT], *(ids[letter] for letter in alphabet if not _is_ascii_byte(letter))],
    )


def _is_ascii_byte(letter: str) -> bool:
    # The GPT-2 alphabet writes printable bytes as themselves, and bytes 0-32 and 127 as U+0100-U+0121.
    return letter < "\x7f" or "\u0100" <= letter <= "\u0121"


def _corpus() -> Iterator[str]:
    room = CORPUS_BYTES
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="ignore")
        if room <= 0:
            return
        if text.isascii():
            room -= len(text)
            yield text
    if room == CORPUS_BYTES:
        raise CorpusError(f"no library sources in {library}: install Python with its standard library as .py files")

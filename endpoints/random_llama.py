"""A real Llama with random weights, as a GGUF file: it runs at the speed of a trained one and says nothing sensible.

Weights are q4_0: llama.cpp repacks those for x86, which makes it half as fast again as q8_0, and a batch of two then
costs twice a batch of one where q8_0 pays more than three times.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endpoints import ascii_tokenizer

RECIPE_VERSION = 1
"""Bump it when the bytes for the same parameters change: a cached file of another version is not reused."""

CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
WEIGHT_STD = 0.02
OUTPUT_STD = 0.3  # wide logits: the silent rows, all zero, stay far below whatever a sampler picks from


@dataclass(frozen=True)
class Recipe:
    """Shape of the model. `hidden` and `ffn` are multiples of 32 (q4_0 blocks); `context` is in tokens."""

    hidden: int = 512
    layers: int = 8
    heads: int = 8
    kv_heads: int = 4
    ffn: int = 1408
    vocabulary: int = 4096
    context: int = 131_072
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a shape that q4_0 or the attention heads cannot have."""
        for name, value, unit in (
            ("hidden", self.hidden, 32),
            ("ffn", self.ffn, 32),
            ("heads", self.heads, self.kv_heads),
        ):
            if value <= 0 or value % unit:
                raise ValueError(f"{name} {value} is not a multiple of {unit}")

    @property
    def file_name(self) -> str:
        """Name of the cached file: every parameter and the version of the recipe."""
        shape = f"{self.hidden}x{self.layers}-{self.heads}-{self.kv_heads}-{self.ffn}-{self.vocabulary}-{self.context}"
        return f"random-llama-v{RECIPE_VERSION}-{shape}-seed{self.seed}.gguf"

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(rows * columns for _, rows, columns in self.matrices())

    @property
    def model_name(self) -> str:
        """What the server calls it, such as `random-llama-28m`."""
        return f"random-llama-{round(self.parameters / 1e6)}m"

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """Yield (name, outputs, inputs) of each matrix."""
        kv = self.hidden // self.heads * self.kv_heads
        yield "token_embd", self.vocabulary, self.hidden
        yield "output", self.vocabulary, self.hidden
        for layer in range(self.layers):
            for name, rows, columns in (
                ("attn_q", self.hidden, self.hidden),
                ("attn_k", kv, self.hidden),
                ("attn_v", kv, self.hidden),
                ("attn_output", self.hidden, self.hidden),
                ("ffn_gate", self.ffn, self.hidden),
                ("ffn_up", self.ffn, self.hidden),
                ("ffn_down", self.hidden, self.ffn),
            ):
                yield f"blk.{layer}.{name}", rows, columns

    def norms(self) -> Iterator[str]:
        """Yield the name of each normalisation vector."""
        yield "output_norm"
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_norm"
            yield f"blk.{layer}.ffn_norm"


def ensure(folder: Path, recipe: Recipe, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Return the model's file in `folder`, made now if it is not there yet.

    A file under its final name is whole: it is written under a temporary name, synced and renamed, so that two
    processes at once or a kill in the middle do no harm. Raises OSError (folder, disk) and CorpusError.
    """
    path = folder / recipe.file_name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{recipe.file_name}.", suffix=".tmp", dir=folder)
    os.close(handle)
    temporary = Path(name)
    try:
        _write(temporary, recipe, progress)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    progress(f"model ready: {path} ({path.stat().st_size / 2**20:.0f} MiB)")
    return path


def _write(path: Path, recipe: Recipe, progress: Callable[[str], None]) -> None:
    import gguf

    progress(f"training a vocabulary of {recipe.vocabulary} tokens on the standard library's sources")
    vocabulary = ascii_tokenizer.train(recipe.vocabulary)
    progress(f"drawing {recipe.parameters / 1e6:.0f}M random weights")
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, recipe, vocabulary)
    _add_weights(writer, recipe, vocabulary.silent)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, recipe: Recipe, vocabulary: ascii_tokenizer.Vocabulary) -> None:
    from gguf import LlamaFileType, TokenType

    writer.add_name(recipe.model_name)
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_0)
    writer.add_context_length(recipe.context)
    writer.add_embedding_length(recipe.hidden)
    writer.add_block_count(recipe.layers)
    writer.add_feed_forward_length(recipe.ffn)
    writer.add_head_count(recipe.heads)
    writer.add_head_count_kv(recipe.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(recipe.hidden // recipe.heads)
    writer.add_vocab_size(recipe.vocabulary)
    types = [TokenType.NORMAL] * recipe.vocabulary
    types[vocabulary.end_of_text] = TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(types)
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.end_of_text)
    writer.add_eos_token_id(vocabulary.end_of_text)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_weights(writer: Any, recipe: Recipe, silent: list[int]) -> None:
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    random = np.random.default_rng(recipe.seed)
    q4_0 = GGMLQuantizationType.Q4_0
    for name, rows, columns in recipe.matrices():
        weights = random.standard_normal((rows, columns), dtype=np.float32)
        weights *= OUTPUT_STD if name == "output" else WEIGHT_STD
        if name == "output":
            weights[silent] = 0.0
        writer.add_tensor(f"{name}.weight", quants.quantize(weights, q4_0), raw_dtype=q4_0)
    for name in recipe.norms():
        writer.add_tensor(f"{name}.weight", np.ones(recipe.hidden, dtype=np.float32))

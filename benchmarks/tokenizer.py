"""A tokenizer for tools that do not start without one: bytes, and one token for the reference endpoint's word."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

_END = "<|end|>"


def make_tokenizer(folder: Path) -> Path:
    """Write a folder that `transformers` takes for a pretrained tokenizer; return it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=[_END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" tok" * 10], trainer)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": _END, "eos_token": _END}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder

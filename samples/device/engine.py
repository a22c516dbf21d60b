"""transformers' continuous batching as a child process: token ids in, token ids out, over a socket.

A Llama of random weights, made here from its shape. Every step of the batch is one message to the front
(`server.py`), so that the loop that feeds the GPU waits for no HTTP.
"""

import socket
import struct
import sys
import time
from threading import Lock
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers.generation.continuous_batching import input_outputs
from transformers.generation.continuous_batching.utils import pad_to_pow2

SHAPES: dict[str, dict[str, Any]] = {
    "llama-8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
    "llama-1b": {
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "tie_word_embeddings": True,
    },
    "llama-tiny": {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8},
}  # fmt: skip
"""Llama 3.1 8B and Llama 3.2 1B as their papers have them; one for trying the whole out without a GPU."""

VOCABULARY = 128_256
WORD = struct.Struct("=i")
REQUEST = struct.Struct("=iii")  # number, tokens wanted (-1: cancel), prompt tokens that follow
STEP = struct.Struct("=iif")  # tokens in the message, requests active, share of the cache in use
TOKEN = struct.Struct(
    "=iiii"
)  # number, token, 1 if it is the last, prompt tokens found in the prefix cache (-1: not the first)

_BLOCKS, _BLOCK = 1280, 256
_Q_STEP, _Q_STEPS = 640, 3
"""A prompt of 512 and the tokens of 128 others, or two prompts and those of 256: few sizes, each a CUDA graph."""
_KV_STEP = _BLOCKS * _BLOCK // 4
_LONGEST = 2048
"""Bound of a request's tokens in every graph: by default it is a power of two of each batch's own, and a graph each."""


def build(shape: str, known_tokens: int, silent: list[int], device: str) -> Any:
    """The model; its output rows that the tokenizer does not know are zero, so that greedy decoding never picks them."""
    small = shape == "llama-tiny"
    config = LlamaConfig(
        vocab_size=8_192 if small else VOCABULARY,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rope_theta=500_000.0,
        rms_norm_eps=1e-5,
        bos_token_id=None,
        eos_token_id=None,
        **SHAPES[shape],
    )
    torch.manual_seed(0)
    attention = "flash_attention_3" if device == "cuda" else "sdpa"
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16, attn_implementation=attention)
    with torch.no_grad():
        model.lm_head.weight[known_tokens:] = 0
        model.lm_head.weight[torch.tensor(silent, device=device)] = 0
    return model.eval()


class Engine:
    """The manager of transformers' continuous batching, speaking over `front`."""

    def __init__(self, front: socket.socket, shape: str, known_tokens: int, silent: list[int], device: str) -> None:
        self._front, self._sending = front, Lock()
        began = time.monotonic()
        model = build(shape, known_tokens, silent, device)
        size = sum(p.numel() for p in model.parameters())
        _say(f"{shape}: {size / 1e9:.2f} B parameters on {device} after {time.monotonic() - began:.1f} s")
        cuda = device == "cuda"
        self.manager = model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, max_new_tokens=256),
            continuous_batching_config=ContinuousBatchingConfig(
                block_size=_BLOCK,
                # two servers share the card; 256 requests of 1,280 tokens fit
                num_blocks=_BLOCKS if cuda else 96,
                max_batch_tokens=_Q_STEP * _Q_STEPS if cuda else 512,
                max_requests_per_batch=256 if cuda else 16,
                max_blocks_per_request=8,
                use_cuda_graph=True if cuda else None,
                q_padding_interval_size=_Q_STEP if cuda else 0,
                kv_padding_interval_size=_KV_STEP if cuda else 0,
                safety_margin=0.02,
            ),
        )
        self._seen: dict[str, int] = {}
        self._cached: dict[str, int] = {}
        self.manager.output_router.deliver_batch = self._deliver
        self.manager.output_router.deliver = lambda output: self._deliver([output])
        if cuda:
            input_outputs.pad_to_pow2 = _padded
            self.manager.warmup()
            self._capture(model)
        else:
            self.manager.batch_processor = self.manager._create_batch_processor()
        cache = self.manager.batch_processor.cache
        self._wrap(cache)
        self.manager.start()
        _say(
            f"{shape}: ready after {time.monotonic() - began:.1f} s; {cache.num_blocks} blocks of {cache.block_size}, "
            f"{cache.max_batch_tokens} tokens a batch; {_backend()}; {self.manager.continuous_batching_config}"
        )

    @torch.no_grad()
    def _capture(self, model: Any) -> None:
        """A CUDA graph of every size of a batch with prompts, before the first request: none is left for a measurement."""
        processor = self.manager.batch_processor
        assert processor is not None
        for _ in range(2):  # the two sides of asynchronous batching
            for q_tokens in range(_Q_STEP, _Q_STEP * _Q_STEPS + 1, _Q_STEP):
                for kv_tokens in range(_KV_STEP, _BLOCKS * _BLOCK + 1, _KV_STEP):
                    kept = min(kv_tokens, _BLOCKS * _BLOCK - q_tokens)
                    processor.model_runner.run_one_warmup(model, num_q_tokens=q_tokens, max_kv_read=kept)
            processor.inputs_and_outputs.swap_io_pairs()

    def _wrap(self, cache: Any) -> None:
        search = cache.search_prefix_match

        def counted(request_id: str, prompt: list[int]) -> int:
            found: int = search(request_id, prompt)
            self._cached[request_id] = min(found, len(prompt) - 1)
            return found

        cache.search_prefix_match = counted

    def _deliver(self, outputs: list[Any]) -> None:
        """Called by the loop that feeds the GPU, once a step."""
        tokens = []
        for output in outputs:
            number, seen = output.request_id, self._seen.get(output.request_id, 0)
            ended = output.is_finished() or output.error is not None
            if output.error is not None:
                _say(f"{number}: {output.error}")
            new = output.generated_tokens[seen:]
            for place, token in enumerate(new):
                first = seen + place == 0
                last = ended and place == len(new) - 1
                tokens.append(TOKEN.pack(int(number), token, last, self._cached.pop(number, 0) if first else -1))
            if ended and not new:
                tokens.append(TOKEN.pack(int(number), -1, 1, -1))
            self._seen[number] = seen + len(new)
            if ended:
                del self._seen[number]
        processor = self.manager.batch_processor
        cache = processor.cache
        used = 1 - cache.get_num_free_blocks() / cache.num_blocks
        head = STEP.pack(len(tokens), len(processor.scheduler.active_requests), used)
        with self._sending:
            self._front.sendall(head + b"".join(tokens))

    def serve(self) -> None:
        """Take requests until the front closes."""
        while (head := _exactly(self._front, REQUEST.size)) is not None:
            number, wanted, length = REQUEST.unpack(head)
            if wanted < 0:
                self.manager.cancel_request(str(number))
                continue
            prompt = _exactly(self._front, WORD.size * length)
            if prompt is None:
                break
            self.manager.add_request(
                [word for (word,) in WORD.iter_unpack(prompt)],
                request_id=str(number),
                max_new_tokens=wanted,
                streaming=True,
            )
        self.manager.stop(block=False, hard_stop=True)


def _padded(value: int, most: int, least: int = 0) -> int:
    """`pad_to_pow2`, but for the bound of a request's tokens (the only one with a least value), which is one for all."""
    return _LONGEST if least == 1024 else pad_to_pow2(value, most, least)


def _backend() -> str:
    try:
        from flash_attn_interface import BACKEND
    except ImportError:
        return "sdpa"
    return str(BACKEND)


def _exactly(front: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        got = front.recv(size - len(parts))
        if not got:
            return None
        parts += got
    return bytes(parts)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main(front: socket.socket, shape: str, known_tokens: int, silent: list[int]) -> None:
    """The child's life."""
    Engine(front, shape, known_tokens, silent, "cuda" if torch.cuda.is_available() else "cpu").serve()

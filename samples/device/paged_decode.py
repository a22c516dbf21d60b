"""One token a sequence against a paged KV cache, in Triton: what `flash_attn_with_kvcache` does with a block table.

Split-KV flash decoding: each program takes one sequence, one KV head with its group of query heads, and one slice of
the context; a second kernel joins the slices. The wheel of FlashAttention 3 that can be carried is built without it.
"""

import math
from typing import Any

import torch
import triton
import triton.language as tl

_SLICE_TOKENS = 256
_ROWS = 16  # least that the tensor cores take; the group of query heads is padded to it


@triton.jit
def _slices(
    q, k_cache, v_cache, table, lengths, partial, highest, weight,
    scale, table_stride, heads_kv,
    GROUP: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, SLICE: tl.constexpr, STEP: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    sequence, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    parts = tl.num_programs(2)
    length = tl.load(lengths + sequence)
    per_part = tl.cdiv(tl.cdiv(length, parts), SLICE) * SLICE
    begin = part * per_part
    end = tl.minimum(length, begin + per_part)
    rows, dims = tl.arange(0, ROWS), tl.arange(0, DIM)
    query_at = (sequence * heads_kv * GROUP + head * GROUP + rows[:, None]) * DIM + dims[None, :]
    query = tl.load(q + query_at, mask=rows[:, None] < GROUP, other=0.0)
    most = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    found = tl.zeros([ROWS, DIM], tl.float32)
    for start in range(begin, end, STEP):
        tokens = start + tl.arange(0, STEP)
        inside = tokens < end
        block = tl.load(table + sequence * table_stride + start // BLOCK).to(tl.int64)
        at = ((block * BLOCK + tokens % BLOCK)[:, None] * heads_kv + head) * DIM + dims[None, :]
        keys = tl.load(k_cache + at, mask=inside[:, None], other=0.0)
        scores = tl.dot(query, tl.trans(keys)).to(tl.float32) * scale
        scores = tl.where(inside[None, :], scores, -float("inf"))
        now = tl.maximum(most, tl.max(scores, 1))
        shrink = tl.exp(most - now)
        share = tl.exp(scores - now[:, None])
        values = tl.load(v_cache + at, mask=inside[:, None], other=0.0)
        found = found * shrink[:, None] + tl.dot(share.to(values.dtype), values).to(tl.float32)
        total = total * shrink + tl.sum(share, 1)
        most = now
    place = (sequence * heads_kv + head) * parts + part
    tl.store(highest + place * ROWS + rows, most)
    tl.store(weight + place * ROWS + rows, total)
    tl.store(partial + (place * ROWS + rows[:, None]) * DIM + dims[None, :], found)


@triton.jit
def _join(
    partial, highest, weight, out, parts, heads_kv,
    GROUP: tl.constexpr, DIM: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    sequence, head = tl.program_id(0), tl.program_id(1)
    rows, dims = tl.arange(0, ROWS), tl.arange(0, DIM)
    first = (sequence * heads_kv + head) * parts
    most = tl.full([ROWS], -float("inf"), tl.float32)
    for part in range(parts):
        most = tl.maximum(most, tl.load(highest + (first + part) * ROWS + rows))
    total = tl.zeros([ROWS], tl.float32)
    found = tl.zeros([ROWS, DIM], tl.float32)
    for part in range(parts):
        mine = tl.load(highest + (first + part) * ROWS + rows)
        shrink = tl.where(mine > -float("inf"), tl.exp(mine - most), 0.0)
        total += tl.load(weight + (first + part) * ROWS + rows) * shrink
        found += tl.load(partial + ((first + part) * ROWS + rows[:, None]) * DIM + dims[None, :]) * shrink[:, None]
    found = found / tl.where(total > 0, total, 1.0)[:, None]
    at = (sequence * heads_kv * GROUP + head * GROUP + rows[:, None]) * DIM + dims[None, :]
    tl.store(out + at, found.to(out.dtype.element_ty), mask=rows[:, None] < GROUP)


def flash_attn_with_kvcache(
    q: torch.Tensor, k_cache: torch.Tensor, v_cache: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
    cache_seqlens: torch.Tensor, softmax_scale: float, block_table: torch.Tensor, causal: bool = True,
    window_size: tuple[int, int] = (-1, -1),
) -> Any:  # fmt: skip
    """Write `k`, `v` (batch, 1, KV heads, dim) behind the cached tokens and attend to all of them.

    Rows of padding (a table of -1, a length of -1) write into the cache's last block, which is kept for that, and
    give zeros.
    """
    batch, _, heads, dim = q.shape
    _, block, heads_kv, _ = k_cache.shape
    seqlens = cache_seqlens.long()
    blocks = torch.gather(block_table.long(), 1, (seqlens // block).clamp(min=0)[:, None])[:, 0]
    slot = blocks * block + seqlens % block  # negative where the row is padding: counts from the end
    k_cache.view(-1, heads_kv, dim)[slot] = k[:, 0]
    v_cache.view(-1, heads_kv, dim)[slot] = v[:, 0]
    lengths = (cache_seqlens + 1).to(torch.int32)
    longest = block_table.shape[1] * block
    parts = max(1, min(math.ceil(longest / _SLICE_TOKENS), 2 * 132 // max(1, batch * heads_kv)))
    shape = (batch, heads_kv, parts, _ROWS)
    partial = torch.empty((*shape, dim), dtype=torch.float32, device=q.device)
    highest = torch.empty(shape, dtype=torch.float32, device=q.device)
    weight = torch.empty(shape, dtype=torch.float32, device=q.device)
    out = torch.empty_like(q)
    group = heads // heads_kv
    _slices[(batch, heads_kv, parts)](
        q, k_cache, v_cache, block_table, lengths, partial, highest, weight, softmax_scale, block_table.stride(0),
        heads_kv, GROUP=group, DIM=dim, BLOCK=block, SLICE=64, STEP=64, ROWS=_ROWS,
    )  # fmt: skip
    _join[(batch, heads_kv)](partial, highest, weight, out, parts, heads_kv, GROUP=group, DIM=dim, ROWS=_ROWS)
    return out

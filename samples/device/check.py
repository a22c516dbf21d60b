"""Attention as the servers use it, beside plain attention in float32, on fresh random inputs: relative errors."""

import torch
from flash_attn_interface import BACKEND, flash_attn_varlen_func, flash_attn_with_kvcache

HEADS, KV_HEADS, DIM, BLOCK = 32, 8, 128, 256


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention of the last rows; (tokens, heads, dim) each."""
    q, k, v = q.float(), k.float().repeat_interleave(4, 1), v.float().repeat_interleave(4, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) * DIM**-0.5
    rows = torch.arange(q.shape[0], device=q.device)[:, None] + k.shape[0] - q.shape[0]
    scores = scores.masked_fill(torch.arange(k.shape[0], device=q.device)[None] > rows, -torch.inf)
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)


def random(*shape: int) -> torch.Tensor:
    """Normal numbers in bf16."""
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def main() -> None:
    """Print the worst error of each."""
    lengths = [(512, 512), (1, 700), (1, 3), (100, 900)]
    q, k, v = (
        random(sum(a for a, _ in lengths), HEADS, DIM),
        *(random(sum(b for _, b in lengths), KV_HEADS, DIM) for _ in "kv"),
    )
    ends_q, ends_k = ([0, *torch.tensor([pair[i] for pair in lengths]).cumsum(0).tolist()] for i in (0, 1))
    cumulative = [torch.tensor(ends, device="cuda", dtype=torch.int32) for ends in (ends_q, ends_k)]
    out = flash_attn_varlen_func(q, k, v, *cumulative, 640, 2048, softmax_scale=DIM**-0.5, causal=True)
    out = out[0] if isinstance(out, tuple) else out
    worst = 0.0
    for i in range(len(lengths)):
        mine = slice(ends_q[i], ends_q[i + 1])
        true = plain(q[mine], k[ends_k[i] : ends_k[i + 1]], v[ends_k[i] : ends_k[i + 1]])
        worst = max(worst, ((out[mine].float() - true).norm() / true.norm()).item())
    print(f"check: {BACKEND}: varlen error {worst:.1e}", flush=True)
    cached = [3, 255, 256, 1200, -1]
    table = torch.full((5, 8), -1, device="cuda", dtype=torch.int32)
    order, taken = torch.randperm(20).tolist(), 0
    for i, length in enumerate(cached[:4]):
        need = (length + BLOCK) // BLOCK
        table[i, :need] = torch.tensor(order[taken : taken + need])
        taken += need
    k_cache, v_cache = random(22, BLOCK, KV_HEADS, DIM), random(22, BLOCK, KV_HEADS, DIM)
    q, k, v = random(5, 1, HEADS, DIM), random(5, 1, KV_HEADS, DIM), random(5, 1, KV_HEADS, DIM)
    seqlens = torch.tensor(cached, device="cuda", dtype=torch.int32)
    out = flash_attn_with_kvcache(
        q=q,
        k_cache=k_cache,
        v_cache=v_cache,
        k=k,
        v=v,
        cache_seqlens=seqlens,
        softmax_scale=DIM**-0.5,
        block_table=table,
    )
    worst = 0.0
    for i, length in enumerate(cached[:4]):
        blocks = table[i, : (length + BLOCK) // BLOCK].long()
        keys, values = (c[blocks].reshape(-1, KV_HEADS, DIM)[: length + 1] for c in (k_cache, v_cache))
        assert torch.equal(keys[-1], k[i, 0])
        true = plain(q[i], keys, values)
        worst = max(worst, ((out[i].float() - true).norm() / true.norm()).item())
    print(f"check: paged decode error {worst:.1e}, padding {out[4].abs().max().item()}", flush=True)


if __name__ == "__main__":
    main()

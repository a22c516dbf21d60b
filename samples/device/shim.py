"""FlashAttention 3 under the name by which transformers looks for it, in a folder that goes on PYTHONPATH.

    python shim.py FOLDER

`fa3_fwd` is FlashAttention 3's forward pass as a wheel of 27 MB, built without paged caches: decoding against a block
table is `paged_decode.py`'s. Where the wheel does not load, PyTorch's own variable-length attention stands in.
"""

import sys
from pathlib import Path

_MODULE = """
from paged_decode import flash_attn_with_kvcache
try:
    from fa3_fwd_interface import flash_attn_func
    from fa3_fwd_interface import flash_attn_varlen_func as _varlen
    BACKEND = "fa3_fwd 0.0.3"

    def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, softmax_scale=None, causal=True, window_size=(-1, -1)):
        return _varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, softmax_scale=softmax_scale, causal=causal)
except Exception as error:
    import torch
    from torch.nn.attention.varlen import varlen_attn
    BACKEND = f"torch.nn.attention.varlen (fa3_fwd: {error})"

    def flash_attn_func(q, k, v, softmax_scale=None, causal=False, **_):
        return torch.nn.functional.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=causal, scale=softmax_scale, enable_gqa=True).transpose(1, 2)

    def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, softmax_scale=None, causal=True, window_size=(-1, -1)):
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        return varlen_attn(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, window_size=(-1, 0), scale=softmax_scale)
"""


def main() -> None:
    """Write the module and the metadata that transformers asks for."""
    folder = Path(sys.argv[1])
    info = folder / "flash_attn_3-3.0.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (folder / "flash_attn_interface.py").write_text(_MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flash-attn-3\nVersion: 3.0.0\n")
    (info / "top_level.txt").write_text("flash_attn_interface\n")
    (info / "RECORD").write_text("flash_attn_interface.py,,\n")
    (folder / "paged_decode.py").write_text(Path(__file__).with_name("paged_decode.py").read_text())


if __name__ == "__main__":
    main()

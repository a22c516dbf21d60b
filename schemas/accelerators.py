"""Accelerators that are known by name, and the power of each with its share of the machine around it."""

import re

KW_PER_GPU: dict[str, float | None] = {
    "h100": 1.73,
    "h200": 1.73,
    "b200": 2.17,
    "gb200": 2.10,
    "mi355x": 2.65,
    # known by name only
    **dict.fromkeys(
        (
            "a10", "a10g", "a100", "a100-40gb", "a100-80gb", "a6000", "b100", "b300", "gb300", "gh200", "h20", "h800",
            "l4", "l40", "l40s", "rtx3090", "rtx4090", "rtx5090", "rtx6000-ada", "rtx-pro-6000", "t4", "v100",
            "mi210", "mi250", "mi250x", "mi300a", "mi300x", "mi325x", "mi350x", "gaudi2", "gaudi3", "max1550",
            "inferentia2", "trainium1", "trainium2", "trainium3", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu-v7",
        )
    ),
}  # fmt: skip
"""kW a GPU, all in (InferenceX app constants, April 2026); null where no figure is at hand."""

CPU = "cpu"
"""Stands for no accelerator."""

_MAKERS = ("nvidia", "amd", "intel", "google", "aws", "tesla", "geforce", "quadro", "instinct", "habana", "radeon")
_FORM = re.compile(r"(sxm\d?|pcie|nvl\d*|hbm\d[a-z]?|oam|ultra|\d+gb)+")
"""What is written right behind a name: H100SXM5, A100PCIe."""
_OTHER_BOARD = re.compile(r"pcie|(?<!g)[bh]\d00[^a-z0-9]*nvl")
"""Cards of another power than the boards that the figures are of."""


def known_as(accelerator: str) -> str | None:
    """The name above of which kind an accelerator is, however written: H100-SXM5, NVIDIA H100 80GB HBM3, RTX 4090."""
    words = [word for word in re.split(r"[^a-z0-9]+", accelerator.lower()) if word and word not in _MAKERS]
    written = "".join(words)
    ends = {sum(map(len, words[: count + 1])) for count in range(len(words))}
    for known in sorted(KW_PER_GPU, key=len, reverse=True):
        bare = known.replace("-", "")
        if written.startswith(bare) and (len(bare) in ends or _FORM.match(written[len(bare) :])):
            return known
    return None


def is_known(accelerator: str) -> bool:
    """Whether it is one of those above, or `cpu`."""
    return accelerator.lower() == CPU or known_as(accelerator) is not None


def kw_per_gpu(accelerator: str | None) -> float | None:
    """Power of one GPU with all around it, kW; null where it is not known."""
    known = known_as(accelerator) if accelerator else None
    return None if known is None or _OTHER_BOARD.search((accelerator or "").lower()) else KW_PER_GPU[known]

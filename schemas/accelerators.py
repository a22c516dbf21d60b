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


def is_known(accelerator: str) -> bool:
    """Whether a name is one of those above, however written, or of their kind: H100-SXM5, h200_141gb."""
    name = accelerator.lower()
    return name == CPU or any(re.fullmatch(rf"{known}([^a-z0-9].*)?", name) for known in KW_PER_GPU)


def kw_per_gpu(accelerator: str | None) -> float | None:
    """Power of one GPU with all around it, kW; null where it is not known."""
    return KW_PER_GPU.get(accelerator or "")

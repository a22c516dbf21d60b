"""Which run an imported level belongs to: endpoint, workload, tool and day, by what file and user say."""

import math
import re
from datetime import datetime
from typing import Any

from schemas.accelerators import kw_per_gpu
from schemas.digest import digest
from schemas.errors import ResultFileError
from warehouse.importers.levels import Level, Said
from warehouse.importers.traces import client_version
from warehouse.runs import without_credentials

SUITE = "imported"
_FROM_ENDPOINT = (
    "engine", "engine_version", "precision", "accelerator", "gpus_per_instance", "gpus_per_server", "instances_measured", "role",
    "quality_score", "quality_source", "memory_gib_per_gpu",
)  # fmt: skip


def run_of(level: Level, said: Said, endpoint: dict[str, Any]) -> dict[str, Any]:
    """Columns of `raw.runs` for the run of `level`; those that follow from its levels come with the manifest.

    Raises:
        ResultFileError: nobody says when it was measured.

    """
    night = _night(level, said)
    workload = said.workload or level.workload or workload_name(level)
    model = said.model or level.model or endpoint.get("model") or said.endpoint
    facts = {name: endpoint.get(name) for name in _FROM_ENDPOINT}
    config = {"endpoint": facts, "model": model, "workload": workload, "lengths": _lengths(level), "tool": level.tool}
    config_hash = digest(config)
    at = night.isoformat()
    identity = digest([SUITE, said.endpoint, workload, level.tool, at, config_hash])
    return {
        "run_id": f"{night.date()}_{said.endpoint}_{workload}_{identity[:8]}",
        "suite": SUITE,
        "endpoint": said.endpoint,
        "workload": workload,
        "load": level.tool,
        "night": at,
        "run_date": str(night.date()),
        "config_hash": config_hash,
        "client_version": client_version(level.tool, level.tool_version),
        **facts,
        "power_kw_per_gpu": endpoint.get("power_kw_per_gpu") or kw_per_gpu(facts["accelerator"]),
        "url": without_credentials(level.url) if level.url else None,
        "api": level.api or "unknown",
        "model": model,
        "shares_prefix": bool(endpoint.get("shares_prefix")),
        "input_tokens_target": level.target_input_tokens,
        "output_tokens_target": level.target_output_tokens,
    }


def _night(level: Level, said: Said) -> datetime:
    """As the user says it, else midnight (UTC) of the day on which the level began: the levels of a sweep are of one night."""
    if said.night is not None:
        return said.night.replace(tzinfo=None, microsecond=0)
    if level.started_at is None:
        raise ResultFileError(f"{level.source}: the file does not say when it was measured: give --night DATE")
    return level.started_at.replace(hour=0, minute=0, second=0, microsecond=0)


def workload_name(level: Level) -> str:
    """`isl1024-osl128`: whole lengths as they are, measured means to two digits, so that the levels of a sweep agree."""
    shape = "-".join(
        f"{name}{_rounded(value)}" for name, value in zip(("isl", "osl"), _tokens(level), strict=True) if value
    )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", shape) or "unknown"


def _tokens(level: Level) -> tuple[float | None, float | None]:
    return level.input_tokens, level.output_tokens


def _lengths(level: Level) -> list[int | None]:
    return [None if value is None else _rounded(value) for value in _tokens(level)]


def _rounded(value: float) -> int:
    if value == int(value) or value < 1:
        return round(value)
    digits = 1 - math.floor(math.log10(value))
    return round(round(value, digits))

"""Which catalog a command means, the starter catalog, and the one-off catalog of `ratecard run --url`."""

import os
import re
import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml

from schemas.catalog import Catalog
from schemas.catalog_files import FILES, RETENTION, load
from schemas.errors import UsageError


def starter() -> Path:
    """The catalog that ships with Ratecard."""
    with as_file(files("catalog")) as folder:
        return Path(folder)


def catalog_folder(given: str | None) -> Path:
    """`given`, else RATECARD_CATALOG, else ./catalog, else the starter catalog."""
    if chosen := given or os.environ.get("RATECARD_CATALOG"):
        return Path(chosen)
    here = Path("catalog")
    return here if (here / "endpoints.yaml").exists() else starter()


def init(target: Path) -> list[Path]:
    """Copy the starter catalog to `target`; files that exist are never overwritten.

    Raises:
        UsageError: one of them exists.

    """
    files = [f"{name}.yaml" for name in (*FILES, RETENTION)]
    there = [target / name for name in files if (target / name).exists()]
    if there:
        raise UsageError(f"{', '.join(map(str, there))}: exists already and is left as it is; choose another folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(starter() / name, target)) for name in files]
    except OSError as error:
        raise UsageError(f"cannot write a catalog into {target}: {error.strerror}; choose another folder") from error


@dataclass(frozen=True)
class AdHoc:
    """What `ratecard run --url` was told, as fields of the catalog; what is left out has the catalog's defaults."""

    endpoint: dict[str, Any]
    workload: dict[str, Any]
    load: dict[str, Any]
    name: str | None = None
    slo: str | None = None
    peak_rps: float = 10.0


SUITE = "adhoc"


def write_adhoc(what: AdHoc, base: Path, folder: Path) -> None:
    """Write a catalog of one suite for `what` into `folder`; SLOs and prices are those of `base`."""
    money = load(base)
    endpoint, workload = what.name or _name(what.endpoint), _workload_name(what.workload)
    slos = {name: slo for name, slo in money.slos.items() if not slo.workloads}
    wanted = [what.slo] if what.slo else sorted(slos)
    if missing := [name for name in wanted if name not in slos]:
        raise UsageError(
            f"--slo {missing[0]}: expected one of {', '.join(sorted(slos)) or 'none'} (slos.yaml of {base}, those for all workloads)"
        )
    catalog = Catalog.model_construct(slos=slos, prices=money.prices)
    sections: dict[str, dict[str, Any]] = {
        "endpoints": {endpoint: what.endpoint},
        "workloads": {workload: what.workload},
        "loads": {SUITE: what.load},
        "slos": {name: slo.model_dump(mode="json") for name, slo in catalog.slos.items()},
        "demands": {f"{SUITE}-{slo}": _demand(what, workload, slo) for slo in wanted},
        "prices": {name: plan.model_dump(mode="python") for name, plan in catalog.prices.items()},
        "suites": {SUITE: {"measure": [{"endpoints": [endpoint], "workloads": [workload], "loads": [SUITE]}]}},
    }
    for section, content in sections.items():
        (folder / f"{section}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def _demand(what: AdHoc, workload: str, slo: str) -> dict[str, Any]:
    return {
        "application": f"{what.peak_rps:g} requests/s at peak",
        "workload": workload,
        "slo": slo,
        "peak_rps": what.peak_rps,
    }


def _name(endpoint: dict[str, Any]) -> str:
    """Model and address, in the letters of a catalog name."""
    address = endpoint["url"].partition("://")[2].partition("/")[0].rpartition("@")[2]
    return _slug(f"{endpoint['model'].rpartition('/')[2]}-{address}") or SUITE


def _workload_name(workload: dict[str, Any]) -> str:
    """What the requests look like in a word: `in512-out128`, `in-uniform-100-900-out128-turns4`, `dataset-chats`."""
    parts = []
    for origin in ("dataset", "trace"):
        if origin in workload:
            parts += [origin, Path(workload[origin]["file"]).stem]
    parts += [_length_name("in", workload.get("input_tokens")), _length_name("out", workload.get("output_tokens"))]
    parts += [_length_name("prefix", workload.get("shared_prefix", {}).get("tokens"))]
    parts += [_length_name("turns", workload.get("turns", {}).get("count"))]
    return _slug("-".join(part for part in parts if part)) or SUITE


def _length_name(name: str, length: Any) -> str:
    if length is None:
        return ""
    if isinstance(length, dict):
        return "-".join(
            [name, *(f"{value:g}" if isinstance(value, float) else str(value) for value in length.values())]
        )
    return f"{name}{length}"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]

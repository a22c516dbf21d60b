"""Which catalog a command means, the starter catalog, and the one-off catalog of `ratecard run --url`."""

import re
import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml

from schemas.catalog import Catalog
from schemas.catalog_files import FILES, load
from schemas.errors import UsageError


def starter() -> Path:
    """The catalog that ships with Ratecard."""
    with as_file(files("catalog")) as folder:
        return Path(folder)


def catalog_folder(given: str | None) -> Path:
    """`given`, else ./catalog, else the starter catalog."""
    if given is not None:
        return Path(given)
    here = Path("catalog")
    return here if (here / "endpoints.yaml").exists() else starter()


def init(target: Path) -> list[Path]:
    """Copy the starter catalog to `target`; files that exist are never overwritten.

    Raises:
        UsageError: one of them exists.

    """
    there = [target / f"{name}.yaml" for name in FILES if (target / f"{name}.yaml").exists()]
    if there:
        raise UsageError(f"{', '.join(map(str, there))}: exists already and is left as it is; choose another folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(starter() / f"{name}.yaml", target)) for name in FILES]
    except OSError as error:
        raise UsageError(f"cannot write a catalog into {target}: {error.strerror}; choose another folder") from error


@dataclass(frozen=True)
class AdHoc:
    """What `ratecard run --url` was told."""

    url: str
    model: str
    api: str
    api_key_env: str | None
    concurrency: list[int]
    requests: int | None
    duration_s: float | None
    input_tokens: int
    output_tokens: int
    warmup: int | None
    seed: int | None
    name: str | None
    accelerator: str | None
    gpus_per_instance: int
    gpus_per_server: int
    extra_body: dict[str, Any]
    timeout_s: float
    verify_tls: bool
    slo: str | None
    peak_rps: float


SUITE = "adhoc"


def write_adhoc(what: AdHoc, base: Path, folder: Path) -> None:
    """Write a catalog of one suite for `what` into `folder`; SLOs and prices are those of `base`."""
    money = load(base)
    workload = f"in{what.input_tokens}-out{what.output_tokens}"
    slos = {name: slo for name, slo in money.slos.items() if not slo.workloads}
    wanted = [what.slo] if what.slo else sorted(slos)
    if missing := [name for name in wanted if name not in slos]:
        raise UsageError(
            f"--slo {missing[0]}: expected one of {', '.join(sorted(slos)) or 'none'} (slos.yaml of {base}, those for all workloads)"
        )
    catalog = Catalog.model_construct(slos=slos, prices=money.prices)
    sections: dict[str, dict[str, Any]] = {
        "endpoints": {what.name or _name(what): _endpoint(what)},
        "workloads": {
            workload: _known(
                {"input_tokens": what.input_tokens, "output_tokens": what.output_tokens, "seed": what.seed}
            )
        },
        "loads": {SUITE: _load(what)},
        "slos": {name: slo.model_dump(mode="json") for name, slo in catalog.slos.items()},
        "demands": {f"{SUITE}-{slo}": _demand(what, workload, slo) for slo in wanted},
        "prices": {name: plan.model_dump(mode="python") for name, plan in catalog.prices.items()},
    }
    sections["suites"] = {
        SUITE: {"measure": [{"endpoints": [*sections["endpoints"]], "workloads": [workload], "loads": [SUITE]}]}
    }
    for section, content in sections.items():
        (folder / f"{section}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _endpoint(what: AdHoc) -> dict[str, Any]:
    names = (
        "url",
        "model",
        "api",
        "api_key_env",
        "accelerator",
        "gpus_per_instance",
        "gpus_per_server",
        "extra_body",
        "timeout_s",
        "verify_tls",
    )
    return _known({name: getattr(what, name) for name in names})


def _load(what: AdHoc) -> dict[str, Any]:
    long = {"max_duration_s": what.duration_s * 5} if what.duration_s else {}
    return (
        _known(
            {
                "concurrency": what.concurrency,
                "requests": what.requests,
                "duration_s": what.duration_s,
                "warmup_requests": what.warmup,
            }
        )
        | long
    )


def _demand(what: AdHoc, workload: str, slo: str) -> dict[str, Any]:
    return {
        "application": f"{what.peak_rps:g} requests/s at peak",
        "workload": workload,
        "slo": slo,
        "peak_rps": what.peak_rps,
    }


def _name(what: AdHoc) -> str:
    """Model and address, in the letters of a catalog name."""
    address = what.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    raw = f"{what.model.rpartition('/')[2]}-{address}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", raw).strip("-._")[:64] or SUITE

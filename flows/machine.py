"""What `ratecard doctor` finds out about this machine: software, hardware, data home."""

import importlib
import importlib.metadata
import os
import platform
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flows.checks import Check
from loadgen.plan import cores
from loadgen.receiver import is_compiled
from warehouse.home import Home

GIB = 2**30
LEAST_FREE, ENOUGH_FREE = 1 * GIB, 10 * GIB
ENOUGH_FILES = 4096
DEMO_CPU_FLAGS = ("avx2", "fma", "f16c")


def machine_checks(home: Home) -> Iterator[Check]:
    """Software, hardware and the data home, in the order of the table."""
    yield _python()
    yield _packages()
    yield _receiver()
    yield _cpu()
    yield _cores()
    yield _open_files()
    yield _home_writable(home)
    yield _disk(home)


def _python() -> Check:
    wanted = importlib.metadata.metadata("ratecard")["Requires-Python"]
    if platform.python_version() in SpecifierSet(wanted, prereleases=True):
        return Check("python", "ok", platform.python_version())
    return Check("python", "failed", platform.python_version(), f"install Python {wanted}, then ratecard in it")


def _packages() -> Check:
    requirements = [Requirement(line) for line in importlib.metadata.requires("ratecard") or ()]
    needed = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    modules = _modules()
    problems = [problem for requirement in needed if (problem := _problem_with(requirement, modules))]
    if problems:
        return Check("packages", "failed", "; ".join(problems), "pip install --upgrade ratecard, in this environment")
    return Check("packages", "ok", f"{len(needed)} installed, within their bounds and importable")


def _modules() -> dict[str, list[str]]:
    """Distribution -> the module of its name, or where it brings none of that name, all of its public ones."""
    found: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            if module.isidentifier() and not module.startswith("_"):
                found.setdefault(distribution.lower(), []).append(module)
    return {name: [name.replace("-", "_")] if name.replace("-", "_") in mods else mods for name, mods in found.items()}


def _problem_with(requirement: Requirement, modules: dict[str, list[str]]) -> str | None:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is not {requirement.specifier}"
    for module in modules.get(requirement.name.lower(), []):
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken package may raise anything
            return f"{requirement.name} {version} cannot be imported: {type(error).__name__}: {error}"
    return None


def _receiver() -> Check:
    if is_compiled():
        return Check("receiver", "ok", "sockets are read in C")
    return Check(
        "receiver", "warning", "sockets are read in Python, which costs one and a half times the CPU a token",
        "on Linux install a C compiler and Python's headers, then ratecard again; and unset RATECARD_RECEIVER",
    )  # fmt: skip


def _cpu() -> Check:
    machine = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if machine != "x86_64" or not cpuinfo.exists():
        return Check("cpu", "ok", machine)
    missing = missing_cpu_flags(cpuinfo.read_text())
    if missing:
        return Check(
            "cpu", "warning", f"{machine} without {', '.join(missing)}",
            "`ratecard demo` cannot run its engine here; measure a server elsewhere with --url",
        )  # fmt: skip
    return Check("cpu", "ok", f"{machine} with {', '.join(DEMO_CPU_FLAGS)}")


def missing_cpu_flags(cpuinfo: str) -> list[str]:
    """Of what the demo's engine needs; `cpuinfo` is /proc/cpuinfo of an x86-64 machine."""
    flags = next((line.partition(":")[2].split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    return [flag for flag in DEMO_CPU_FLAGS if flag not in flags]


def _cores() -> Check:
    count = cores()
    if count == 1:
        return Check(
            "cores", "warning", "1 core", "let nothing else run while measuring: the client has no core of its own"
        )
    return Check("cores", "ok", f"{count} cores: {count - 1} load workers by default")


def _open_files() -> Check:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < ENOUGH_FILES:
        return Check(
            "open files", "warning", f"at most {hard} a process",
            f"raise the hard limit (ulimit -Hn, limits.conf, LimitNOFILE=): about {hard - 64} requests can be in flight a worker",
        )  # fmt: skip
    return Check("open files", "ok", "no limit" if hard == resource.RLIM_INFINITY else f"up to {hard:,} a process")


def _nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _home_writable(home: Home) -> Check:
    at = _nearest(home.root)
    there = str(home.root) if at == home.root else f"{home.root}, to be made"
    inside = (home.incoming, home.raw, home.quarantine, home.locks, *home.locks.glob("*.lock"))
    refused = next((path for path in (at, *inside) if path.exists() and not _is_writable(path)), None)
    if refused is None and at.is_dir():
        return Check("data home", "ok", there)
    return Check(
        "data home", "failed", f"{refused or at} cannot be written to",
        "give this user the right to write there, or choose another with --home DIR or RATECARD_HOME",
    )  # fmt: skip


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(_nearest(home.root)).free
    found, do = (
        f"{free / GIB:.1f} GiB free",
        f"free some space on the disk of {home.root}, or choose another with --home DIR",
    )
    if free < LEAST_FREE:
        return Check("disk", "failed", found, do)
    return Check("disk", "warning", found, do) if free < ENOUGH_FREE else Check("disk", "ok", found)

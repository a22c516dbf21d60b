"""Reads a catalog folder into models; every mistake is answered with file, line, field, found and expected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.catalog import NAME_PATTERN, ApiPlan, Catalog, Demand, check_periods
from schemas.catalog_section import Section, Where
from schemas.errors import CatalogError

FILES = tuple(Catalog.model_fields)
"""Sections of the catalog, each in a file of its name: endpoints.yaml, workloads.yaml …"""

_DISTRIBUTIONS = "fixed, uniform, normal, lognormal or empirical"


def load(folder: Path) -> Catalog:
    """Catalog of `folder`. Absent files are empty sections.

    Raises:
        CatalogError: the folder is missing or any file has a mistake; all mistakes are listed.

    """
    if not folder.is_dir():
        raise CatalogError(f"no catalog folder at {folder}: `ratecard init {folder}` writes one to start from")
    known = [folder / f"{name}.yaml" for name in FILES]
    if not any(path.exists() for path in known):
        raise CatalogError(
            f"{folder} holds none of {', '.join(p.name for p in known)}: `ratecard init DIR` writes a catalog"
        )
    sections = {path.stem: Section(path) for path in known if path.exists()}
    for section in sections.values():
        section.resolve_files()
    problems = [p for section in sections.values() for p in section.problems]
    problems += [
        f"{path}:1: no such section: expected one of {', '.join(FILES)}"
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        if path.stem not in FILES or path.suffix == ".yml"
    ]
    try:
        catalog = Catalog.model_validate({name: section.data for name, section in sections.items()})
    except ValidationError as error:
        raise CatalogError("\n".join([*problems, *_readable(error, sections)])) from None
    problems += list(_dangling(catalog, sections))
    if problems:
        raise CatalogError("\n".join(problems))
    return catalog


def _readable(error: ValidationError, sections: dict[str, Section]) -> Iterator[str]:
    for item in error.errors():
        name, *rest = item["loc"]
        section = sections[str(name)]
        where = tuple(_as_written(section.data, rest, item["type"]))
        yield section.say(where, _found_and_expected(item))


def _as_written(data: Any, where: list[int | str], problem: str) -> Iterator[int | str]:
    """`where` without what stands in no file: pydantic's names for the members of a union, and its `[key]`."""
    for position, part in enumerate(where):
        try:
            data = data[part]
        except (LookupError, TypeError):
            if problem != "missing" or position < len(where) - 1:
                continue
        yield part


def _found_and_expected(item: Any) -> str:
    if item["type"] == "missing":
        return "is missing: expected a value; `ratecard init DIR` shows every field"
    if item["type"] == "extra_forbidden":
        return f"no such field (found {item['input']!r}); check the spelling, `ratecard init DIR` shows every field"
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_kind(item["ctx"].get("tag"), is_price=item["ctx"]["discriminator"] == "'kind'")
    found = item["input"]
    shown = type(found).__name__ if isinstance(found, dict | list) else repr(found)
    if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] == NAME_PATTERN:
        return f"found {shown}, expected a name of at most 64 letters, digits, '.', '_' and '-'"
    if item["type"] == "model_type":
        return f"found {shown}, expected a mapping of fields"
    return f"found {shown}, expected: {item['msg'].removeprefix('Input should be ')}"


def _unknown_kind(found: str | None, *, is_price: bool) -> str:
    name, expected = ("kind", "own, rent or api") if is_price else ("distribution", _DISTRIBUTIONS)
    return f"{name}: found {'nothing' if found is None else repr(found)}, expected {expected}"


def _dangling(catalog: Catalog, sections: dict[str, Section]) -> Iterator[str]:
    """Names that refer to nothing, and what only the whole catalog can show."""

    def missing(section: str, where: Where, kind: str, name: str) -> Iterator[str]:
        names: dict[str, Any] = getattr(catalog, kind)
        if name not in names:
            have = ", ".join(sorted(names)) or "none"
            yield sections[section].say(where, f"found {name!r}, expected a name in {kind}.yaml ({have})")

    for suite_name, suite in catalog.suites.items():
        for position, entry in enumerate(suite.measure):
            for kind in ("endpoints", "workloads", "loads"):
                for index, name in enumerate(getattr(entry, kind)):
                    yield from missing("suites", (suite_name, "measure", position, kind, index), kind, name)
            for index, name in enumerate(entry.loads):
                where = (suite_name, "measure", position, "loads", index)
                for workload in _without_trace(catalog, name, entry.workloads):
                    message = f"{name!r} replays a trace (speed), and workload {workload!r} has none"
                    yield sections["suites"].say(where, message)
    for load_name, load_ in catalog.loads.items():
        if load_.search is not None and load_.search.slo is not None:
            yield from missing("loads", (load_name, "search", "slo"), "slos", load_.search.slo)
    for slo_name, slo in catalog.slos.items():
        for index, name in enumerate(slo.workloads):
            yield from missing("slos", (slo_name, "workloads", index), "workloads", name)
    for demand_name, demand in catalog.demands.items():
        for place, workload in _workloads(demand):
            yield from missing("demands", (demand_name, *place), "workloads", workload)
        yield from missing("demands", (demand_name, "slo"), "slos", demand.slo)
        for index, name in enumerate(demand.price_plans):
            yield from missing("demands", (demand_name, "price_plans", index), "prices", name)
        wanted = catalog.slos.get(demand.slo)
        for place, workload in _workloads(demand):
            if wanted and wanted.workloads and workload not in wanted.workloads:
                yield sections["demands"].say(
                    (demand_name, "slo") if demand.workload else (demand_name, *place),
                    f"{demand.slo!r} does not apply to workload {workload!r} (slos.yaml: workloads)",
                )
    for plan_name, plan in catalog.prices.items():
        try:
            check_periods(plan)
        except ValueError as error:
            yield sections["prices"].say((plan_name, "periods"), str(error))
        if not isinstance(plan, ApiPlan) and plan.reference_plan is not None:
            yield from missing("prices", (plan_name, "reference_plan"), "prices", plan.reference_plan)
            if plan.reference_plan in catalog.prices and not isinstance(catalog.prices[plan.reference_plan], ApiPlan):
                yield sections["prices"].say(
                    (plan_name, "reference_plan"), f"{plan.reference_plan!r} is not an api plan"
                )


def _without_trace(catalog: Catalog, load_name: str, workloads: list[str]) -> list[str]:
    """Those of `workloads` that a load cannot replay."""
    if load_name not in catalog.loads or catalog.loads[load_name].speed is None:
        return []
    return [name for name in workloads if name in catalog.workloads and catalog.workloads[name].trace is None]


def _workloads(demand: Demand) -> Iterator[tuple[Where, str]]:
    """The workloads of a demand, and the field that names each."""
    if demand.workload is not None:
        yield ("workload",), demand.workload
    for position, part in enumerate(demand.mix):
        yield ("mix", position, "workload"), part.workload

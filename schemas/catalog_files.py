"""Reads a catalog folder into models; every mistake is answered with file, line, field, found and expected."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.accelerators import CPU, KW_PER_GPU, is_known
from schemas.catalog import Catalog
from schemas.catalog.demands import Demand
from schemas.catalog.lengths import longest_of
from schemas.catalog.slos import Slo
from schemas.catalog.workloads import Workload
from schemas.catalog_base import NAME_PATTERN
from schemas.catalog_section import Section, Where
from schemas.demand_trace import rates_of
from schemas.errors import CatalogError, SpecError
from schemas.prices import ApiPlan, check_periods

FILES = tuple(Catalog.model_fields)
"""Sections of the catalog, each in a file of its name: endpoints.yaml, workloads.yaml …"""

RETENTION = "retention"
"""A file of the folder that is no section: what becomes of old traces (`schemas.retention`)."""

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
        f"{path}:1: no such section: expected one of {', '.join([*FILES, RETENTION])}"
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        if path.stem not in (*FILES, RETENTION) or path.suffix == ".yml"
    ]
    try:
        catalog = Catalog.model_validate({name: section.data for name, section in sections.items()})
    except ValidationError as error:
        raise CatalogError("\n".join([*problems, *readable(error, sections)])) from None
    problems += [*_dangling(catalog, sections), *_unknown_accelerators(catalog, sections)]
    demands = {name: _with_rates(name, demand, sections, problems) for name, demand in catalog.demands.items()}
    if problems:
        raise CatalogError("\n".join(problems))
    return catalog.model_copy(update={"demands": demands})


def _with_rates(name: str, demand: Demand, sections: dict[str, Section], problems: list[str]) -> Demand:
    """`demand` with the rates of its trace, if it has one, so that a snapshot of the catalog stands on its own."""
    if demand.trace_rates:
        problems.append(sections["demands"].say((name, "trace_rates"), "is measured from trace: leave it out"))
    if demand.trace is None or not Path(demand.trace.file).is_file():
        return demand
    try:
        return demand.model_copy(update={"trace_rates": rates_of(demand.trace)})
    except SpecError as error:
        problems.append(sections["demands"].say((name, "trace"), str(error)))
        return demand


def _unknown_accelerators(catalog: Catalog, sections: dict[str, Section]) -> Iterator[str]:
    """A name that nobody else uses is a slip of the pen, or an accelerator without a price."""
    of_endpoints = {endpoint.accelerator for endpoint in catalog.endpoints.values()}
    of_plans = {plan.accelerator for plan in catalog.prices.values() if not isinstance(plan, ApiPlan)}
    for section, used, others, other in (
        ("endpoints", catalog.endpoints, of_plans, "prices"),
        ("prices", catalog.prices, of_endpoints, "endpoints"),
    ):
        for name, entry in used.items():
            accelerator = getattr(entry, "accelerator", None)
            if accelerator is not None and accelerator not in others and not is_known(accelerator):
                near = get_close_matches(accelerator, [CPU, *KW_PER_GPU, *(o for o in others if o)], n=1)
                yield sections[section].say(
                    (name, "accelerator"),
                    f"found {accelerator!r}, which is no known accelerator and which {other}.yaml does not name"
                    + (f"; did you mean {near[0]!r}?" if near else "")
                    + f" Known: {', '.join(sorted([CPU, *KW_PER_GPU]))}",
                )


def readable(error: ValidationError, sections: dict[str, Section]) -> Iterator[str]:
    """A line for each mistake, `sections` by the first step to it: file, line, field, found and expected."""
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
            for index, name in enumerate(entry.endpoints):
                for workload in _of_own_length(catalog, name, entry.workloads):
                    message = (
                        f"{name!r} is a prefill pool, asked for one token, and workload {workload!r} replays a trace"
                    )
                    yield sections["suites"].say((suite_name, "measure", position, "endpoints", index), message)
    for load_name, load_ in catalog.loads.items():
        if load_.search is not None and load_.search.slo is not None:
            yield from missing("loads", (load_name, "search", "slo"), "slos", load_.search.slo)
    for slo_name, slo in catalog.slos.items():
        for index, name in enumerate(slo.workloads):
            yield from missing("slos", (slo_name, "workloads", index), "workloads", name)
            for position, metric in _unmeasurable(slo, catalog.workloads.get(name)):
                yield sections["slos"].say((slo_name, "bounds", position, "metric"), _never(metric, name))
    for demand_name, demand in catalog.demands.items():
        for place, workload in _workloads(demand):
            yield from missing("demands", (demand_name, *place), "workloads", workload)
        yield from missing("demands", (demand_name, "slo"), "slos", demand.slo)
        for index, name in enumerate(demand.price_plans):
            yield from missing("demands", (demand_name, "price_plans", index), "prices", name)
        wanted = catalog.slos.get(demand.slo)
        for place, workload in _workloads(demand):
            at: Where = (demand_name, "slo") if demand.workload else (demand_name, *place)
            if wanted and wanted.workloads and workload not in wanted.workloads:
                yield sections["demands"].say(
                    at, f"{demand.slo!r} does not apply to workload {workload!r} (slos.yaml: workloads)"
                )
            for _, metric in _unmeasurable(wanted, catalog.workloads.get(workload)) if wanted else ():
                yield sections["demands"].say(at, _never(metric, workload))
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


def _of_own_length(catalog: Catalog, endpoint: str, workloads: list[str]) -> list[str]:
    """Those of `workloads` whose trace says how long answers are, where a prefill pool gives one token."""
    if endpoint not in catalog.endpoints or catalog.endpoints[endpoint].role != "prefill":
        return []
    return [name for name in workloads if name in catalog.workloads and catalog.workloads[name].trace is not None]


def _unmeasurable(slo: Slo, workload: Workload | None) -> Iterator[tuple[int, str]]:
    """Bounds of `slo` (position, metric) on gaps between tokens, where answers have one token."""
    if workload is not None and longest_of(workload.output_tokens) == 1:
        for position, bound in enumerate(slo.bounds):
            if bound.metric in ("tpot", "itl", "interactivity"):
                yield position, bound.metric


def _never(metric: str, workload: str) -> str:
    return (
        f"workload {workload!r} has answers of one token and so no {metric}: bound ttft or e2e, or ask for more tokens"
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

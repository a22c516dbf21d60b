"""Reads a catalog folder into models; every mistake is answered with file, line, field, found and expected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.catalog import NAME_PATTERN, ApiPlan, Catalog, check_periods
from schemas.errors import CatalogError

FILES = tuple(Catalog.model_fields)
"""Sections of the catalog, each in a file of its name: endpoints.yaml, workloads.yaml …"""

Path_ = tuple[int | str, ...]


class _Loader(yaml.SafeLoader):
    """YAML as people mean it in a catalog: a name stays the text that it is, a date that is none stays text too.

    So `405:` or `on:` can name an entry, and 2025-02-30 is answered with its line by the model that wants a date.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Mapping with its keys as written."""
        self.flatten_mapping(node)
        return {
            key.value if isinstance(key, yaml.ScalarNode) else "": self.construct_object(value, deep=deep)
            for key, value in node.value
        }

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        """Date or time, or the text where it is neither."""
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:
            return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_timestamp)


class _Section:
    """One YAML file: its plain data and the line of every field."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Path_, int] = {}
        self.problems: list[str] = []
        try:
            text = path.read_text(encoding="utf-8")
            node = yaml.compose(text, Loader=_Loader)
            self.data: Any = yaml.load(text, Loader=_Loader) if node is not None else {}
            if node is not None:
                self._index(node, ())
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self.data = {}
            self.problems.append(f"{path}:{line}: not YAML: {error.problem or error.context}")
        except RecursionError:
            self.data = {}
            self.problems.append(f"{path}:1: cannot be read: an alias that holds itself, or too many brackets")
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
            self.data = {}
            self.problems.append(f"{path}:1: cannot be read: {error}")
        if not isinstance(self.data, dict):
            self.problems.append(f"{path}:1: found {self.data!r}, expected a mapping of names to fields")
            self.data = {}

    def _index(self, node: yaml.Node, where: Path_) -> None:
        self.lines[where] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*where, str(key.value))
                if inner in self.lines:
                    self.problems.append(self.say(inner, f"is given twice (again on line {key.start_mark.line + 1})"))
                    continue
                self._index(value, inner)
                self.lines[inner] = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            for position, value in enumerate(node.value):
                self._index(value, (*where, position))

    def say(self, where: Path_, message: str) -> str:
        """`message` at the nearest known line of `where`."""
        known = where
        while known and known not in self.lines:
            known = known[:-1]
        field = ".".join(str(part) for part in where) or self.path.stem
        return f"{self.path}:{self.lines.get(known, 1)}: {field}: {message}"


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
    sections = {path.stem: _Section(path) for path in known if path.exists()}
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


def _readable(error: ValidationError, sections: dict[str, _Section]) -> Iterator[str]:
    for item in error.errors():
        name, *rest = item["loc"]
        section = sections[str(name)]
        where = tuple(part for part in rest if part not in ("[key]", "own", "rent", "api"))
        yield section.say(where, _found_and_expected(item))


def _found_and_expected(item: Any) -> str:
    if item["type"] == "missing":
        return "is missing: expected a value; `ratecard init DIR` shows every field"
    if item["type"] == "extra_forbidden":
        return f"no such field (found {item['input']!r}); check the spelling, `ratecard init DIR` shows every field"
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"kind: found {item['ctx'].get('tag', 'nothing')!r}, expected own, rent or api"
    found = item["input"]
    shown = type(found).__name__ if isinstance(found, dict | list) else repr(found)
    if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] == NAME_PATTERN:
        return f"found {shown}, expected a name of at most 64 letters, digits, '.', '_' and '-'"
    if item["type"] == "model_type":
        return f"found {shown}, expected a mapping of fields"
    return f"found {shown}, expected: {item['msg'].removeprefix('Input should be ')}"


def _dangling(catalog: Catalog, sections: dict[str, _Section]) -> Iterator[str]:
    """Names that refer to nothing, and what only the whole catalog can show."""

    def missing(section: str, where: Path_, kind: str, name: str) -> Iterator[str]:
        names: dict[str, Any] = getattr(catalog, kind)
        if name not in names:
            have = ", ".join(sorted(names)) or "none"
            yield sections[section].say(where, f"found {name!r}, expected a name in {kind}.yaml ({have})")

    for suite_name, suite in catalog.suites.items():
        for position, entry in enumerate(suite.measure):
            for kind in ("endpoints", "workloads", "loads"):
                for index, name in enumerate(getattr(entry, kind)):
                    yield from missing("suites", (suite_name, "measure", position, kind, index), kind, name)
    for slo_name, slo in catalog.slos.items():
        for index, name in enumerate(slo.workloads):
            yield from missing("slos", (slo_name, "workloads", index), "workloads", name)
    for demand_name, demand in catalog.demands.items():
        yield from missing("demands", (demand_name, "workload"), "workloads", demand.workload)
        yield from missing("demands", (demand_name, "slo"), "slos", demand.slo)
        for index, name in enumerate(demand.price_plans):
            yield from missing("demands", (demand_name, "price_plans", index), "prices", name)
        wanted = catalog.slos.get(demand.slo)
        if wanted and wanted.workloads and demand.workload not in wanted.workloads:
            yield sections["demands"].say(
                (demand_name, "slo"),
                f"{demand.slo!r} does not apply to workload {demand.workload!r} (slos.yaml: workloads)",
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

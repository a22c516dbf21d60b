"""One YAML file of the catalog: its plain data, the line of every field, and the data files that it names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Where = tuple[int | str, ...]
"""A field: the names and positions that lead to it."""
_DEEPEST = 100
"""No catalog nests further; libyaml would follow a file of brackets until the process crashes."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
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


class Section:
    """One YAML file: its plain data and the line of every field."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Where, int] = {}
        self.problems: list[str] = []
        try:
            text = path.read_text(encoding="utf-8")
            _check_depth(text)
            loader = _Loader(text)
            node = loader.get_single_node()
            self.data: Any = loader.construct_document(node) if node is not None else {}
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

    def _index(self, node: yaml.Node, where: Where) -> None:
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

    def resolve_files(self) -> None:
        """Make the paths of data files absolute, from the catalog's folder; one that is not there is a problem."""
        for where, holder, name in list(_file_fields(self.path.stem, self.data, ())):
            file = self.path.parent.resolve() / holder[name]
            if not file.is_file():
                self.problems.append(self.say(where, f"found {holder[name]!r}, expected a file: none at {file}"))
            holder[name] = str(file)

    def say(self, where: Where, message: str) -> str:
        """`message` at the nearest known line of `where`."""
        known = where
        while known and known not in self.lines:
            known = known[:-1]
        field = ".".join(str(part) for part in where) or self.path.stem
        return f"{self.path}:{self.lines.get(known, 1)}: {field}: {message}"


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecursionError


def _file_fields(section: str, data: Any, where: Where) -> Iterator[tuple[Where, dict[str, Any], str]]:
    """Fields of a section that name a data file: where, the mapping that holds it, its name there."""
    if not isinstance(data, dict) or section not in ("endpoints", "workloads", "demands"):
        return
    for name, value in data.items():
        here = (*where, name)
        is_file = name == "tokenizer" and len(here) == 2 if section == "endpoints" else name == "file"
        if is_file and len(here) > 1 and isinstance(value, str):
            yield here, data, name
        elif section != "endpoints" or not where:
            yield from _file_fields(section, value, here)

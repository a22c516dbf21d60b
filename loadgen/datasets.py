"""Prompts of a file: ShareGPT-style JSON, or JSON lines.

sharegpt  [{"conversations": [{"from": "human" | "user", "value": …}, {"from": "gpt" | "assistant", "value": …}]}, …]
jsonl     one object a line: "prompt", "text", "input" or "messages", and "output_tokens", "max_tokens" or "output_length"

Either may hold "messages": [{"role": "user" | "assistant", "content": …}] instead. Other roles (system) are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

from schemas.errors import SpecError
from schemas.records import json_lines, mapping, opened, parsed, whole_number

_USERS = frozenset(("human", "user"))
_ASSISTANTS = frozenset(("gpt", "assistant", "chatgpt", "bing", "bard", "model"))
_TEXTS = ("prompt", "text", "input")
_LENGTHS = ("output_tokens", "max_tokens", "output_length")


@dataclass(frozen=True, slots=True)
class Said:
    """What a user said and the recorded answer; null where none is recorded."""

    text: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One conversation of a data set, at least one turn; `output_tokens` where the file states it."""

    turns: tuple[Said, ...]
    output_tokens: int | None = None

    @property
    def states_length(self) -> bool:
        """Whether the entry says how long its first answer is."""
        return self.output_tokens is not None or self.turns[0].answer is not None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Entries in the order of the file, at least one, and how many without a user's turn were left out."""

    entries: tuple[Entry, ...]
    skipped: int

    @property
    def mean_chars(self) -> float:
        """Mean length of the first prompts, characters."""
        return fmean(len(entry.turns[0].text) for entry in self.entries)

    def playable(self, length_given: bool) -> list[Entry]:
        """Entries whose answer's length is known: from the workload (`length_given`), or from themselves."""
        return [entry for entry in self.entries if length_given or entry.states_length]


def read_dataset(config: dict[str, Any]) -> Dataset:
    """The data set of a workload's `dataset` (`schemas.catalog.workloads.Dataset` as JSON); read once per process.

    Raises SpecError with file and line (of a JSON list: the entry's number) for what cannot be read.
    """
    return _read(config["file"], config["format"])


@lru_cache(maxsize=2)
def _read(file: str, form: str) -> Dataset:
    if form not in ("sharegpt", "jsonl"):
        raise SpecError(f"a dataset's format is {form!r}, expected sharegpt or jsonl")
    raw = list(json_lines(file) if form == "jsonl" else _json_list(file))
    entries = [entry for where, item in raw if (entry := _entry(item, where))]
    if not entries:
        raise SpecError(f"{file}:1: holds no entry in which a user says something")
    return Dataset(tuple(entries), len(raw) - len(entries))


def _json_list(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with opened(file) as lines:
        text = lines.read()
    items = parsed(text, file)
    if not isinstance(items, list):
        raise SpecError(f"{file}:1: expected a JSON list of conversations (for one object a line: format: jsonl)")
    for number, item in enumerate(items, start=1):
        where = f"{file}: entry {number}"
        yield where, mapping(item, where)


def _entry(item: dict[str, Any], where: str) -> Entry | None:
    """The entry of a JSON object; null where no user says anything in it."""
    stated = next((name for name in _LENGTHS if item.get(name) is not None), None)
    length = whole_number(item[stated], f"{where}: {stated}") if stated else None
    talk = next((name for name in ("conversations", "messages") if name in item), None)
    if talk:
        turns = tuple(_turns(item[talk], f"{where}: {talk}"))
    else:
        name = next((name for name in _TEXTS if name in item), None)
        if name is None:
            raise SpecError(f"{where}: expected one of conversations, messages, {', '.join(_TEXTS)}")
        text = _text(item[name], f"{where}: {name}")
        turns = (Said(text, None),) if text else ()
    return Entry(turns, length) if turns else None


def _turns(messages: Any, where: str) -> Iterator[Said]:
    if not isinstance(messages, list):
        raise SpecError(f"{where}: expected a list of messages")
    asked: str | None = None
    for number, message in enumerate(messages):
        at = f"{where}: message {number + 1}"
        fields = mapping(message, at)
        role = fields.get("role", fields.get("from"))
        if role not in _USERS and role not in _ASSISTANTS:
            continue
        text = _text(fields.get("content", fields.get("value")), at)
        if role in _USERS:
            if asked:
                yield Said(asked, None)
            asked = text
        elif asked:
            yield Said(asked, text or None)
            asked = None
    if asked:
        yield Said(asked, None)


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SpecError(f"{where}: found {type(value).__name__}, expected a text")
    # half of a surrogate pair is legal in JSON and cannot be sent
    return value.encode("utf-8", "replace").decode() if value.strip() else ""

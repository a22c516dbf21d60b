"""The reader of each tool: files to levels."""

from pathlib import Path
from types import ModuleType

from schemas.errors import ResultFileError
from warehouse.importers import aiperf, genai_perf, guidellm, llmperf, points_csv, sglang, vllm
from warehouse.importers.files import expand
from warehouse.importers.levels import Level, Said

READERS: dict[str, ModuleType] = {
    module.TOOL: module for module in (aiperf, genai_perf, vllm, sglang, guidellm, llmperf, points_csv)
}


def read(tool: str, paths: list[Path], said: Said) -> tuple[list[Level], list[ResultFileError]]:
    """The levels of `paths`, a folder standing for the result files in it, and what could not be read."""
    reader = READERS[tool]
    levels: list[Level] = []
    errors: list[ResultFileError] = []
    try:
        for found in reader.read(expand(paths, reader.SUFFIXES), said):
            (errors if isinstance(found, ResultFileError) else levels).append(found)
    except ResultFileError as error:
        errors.append(error)
    return levels, errors

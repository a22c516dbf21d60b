"""Compiles what `loadgen` has in C, where there is a C compiler and a Linux; `loadgen` does without as well, more slowly."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts the compiled modules beside their sources, and into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; a failure is told and is none of the build's."""
        del version
        if self.target_name != "wheel" or sys.platform != "linux":
            return
        sources = sorted(path.relative_to(self.root) for path in Path(self.root, "loadgen").glob("_*.c"))
        modules = [
            Extension(
                f"loadgen.{source.stem}", [str(source)], depends=["loadgen/_read.h"], define_macros=[("_GNU_SOURCE", None)],
                extra_compile_args=["-O2", "-std=c11", "-pthread"], extra_link_args=["-pthread"],
            )
            for source in sources
        ]  # fmt: skip
        command = build_ext(Distribution({"name": "ratecard", "ext_modules": modules, "packages": ["loadgen"]}))
        command.inplace = True
        command.build_temp = str(Path(self.root, "build"))
        try:
            command.ensure_finalized()
            command.run()
        except (BaseError, OSError) as error:
            self.app.display_warning(f"reading in Python: nothing could be compiled ({error})")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] += [f"loadgen/{source.stem}.*.so" for source in sources]

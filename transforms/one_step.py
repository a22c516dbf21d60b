"""The one step that a series is best told apart at: `ruptures.KernelCPD` with a linear kernel, asked for one breakpoint.

`import ruptures` takes over a second of CPU, nearly all of it scipy for cost functions that this search does not use. On
a night with an open change that would be more than all else that a trend costs. The search itself is two compiled modules
of ruptures that need numpy alone: they are loaded by their files, and the package around them is not.
"""

from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_SEARCH = "ruptures.detection._detection.ekcpd"
_PATH = "ruptures.utils._utils.convert_path_matrix"


def step_of(values: npt.NDArray[np.float64]) -> int:
    """The first of two or more values that belongs to the second of two levels, the least squares being off."""
    found = _compiled(_SEARCH).ekcpd_L2(values.reshape(-1, 1), 1, 1)
    [step, _] = _compiled(_PATH).from_path_matrix_to_bkps_list(found, 1, len(values), 1, 1)
    return int(step)


@cache
def _compiled(name: str) -> Any:
    package = find_spec("ruptures")  # looks where it is, and runs nothing of it
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("ruptures is not installed: `pip install ruptures`")
    folder = Path(package.submodule_search_locations[0], *name.split(".")[1:-1])
    spec = PathFinder.find_spec(name, [str(folder)])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{name} is not in {folder}: this Ratecard needs ruptures 1.1")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

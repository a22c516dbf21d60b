"""Vega as one script, without a request: bundled in a process of its own, beside the making of the page.

Bundling takes seconds and holds the interpreter, which could read the warehouse meanwhile. Once a process.
"""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from markupsafe import Markup

_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_CHILD = f"import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle('{_SNIPPET}').encode())"


@cache
def begin() -> Callable[[], Markup]:
    """Begin to bundle; what is returned waits for it and gives the script, which defines `vegaEmbed`."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vega bundle")
    bundled = executor.submit(_bundle)
    executor.shutdown(wait=False)
    return bundled.result


def _bundle() -> Markup:
    child = subprocess.run([sys.executable, "-P", "-c", _CHILD], capture_output=True, check=False)
    if child.returncode:
        raise RuntimeError(f"vl-convert could not bundle Vega: {child.stderr.decode(errors='replace')[-500:]}")
    # nothing in it may end the script element; both sequences can only stand in string literals
    return Markup(child.stdout.decode().replace("</script", "<\\/script").replace("<!--", "<\\!--"))

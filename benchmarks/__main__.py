"""Run benchmarks and print a table each.

python -m benchmarks [NAME ...] [--json] [--quick]
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict

from benchmarks import (
    busy,
    ceiling,
    client,
    contract,
    economics,
    feeds,
    importing,
    machine,
    memory,
    nights,
    open_loop,
    peers,
    report,
    sharing,
    tls,
    transforms,
    trends,
)
from benchmarks.tables import Section, as_json, as_text

BENCHMARKS: dict[str, Callable[[bool], list[Section]]] = {
    "contract": contract.run,
    "transforms": transforms.run,
    "sharing": sharing.run,
    "economics": economics.run,
    "trends": trends.run,
    "importing": importing.run,
    "report": report.run,
    "feeds": feeds.run,
    "nights": nights.run,
    "client": client.run,
    "busy": busy.run,
    "tls": tls.run,
    "open_loop": open_loop.run,
    "ceiling": ceiling.run,
    "memory": memory.run,
    "peers": peers.run,
}
ONLY_BY_NAME = {"peers"}
"""Downloads other tools."""


def main() -> None:
    """Run what was asked for, in the order of BENCHMARKS."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory; ratios in one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all but peers")
    parser.add_argument("--json", action="store_true", help="one object: the machine, a list of rows a table, notes")
    parser.add_argument("--quick", action="store_true", help="less data: a minute or so, noisier figures")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}")

    here = machine.describe()
    found: dict[str, object] = {"machine": asdict(here)}
    notes: list[str] = []
    if not options.json:
        print(here.line(), flush=True)
    for name, run in BENCHMARKS.items():
        if name not in (options.names or BENCHMARKS.keys() - ONLY_BY_NAME):
            continue
        for section in run(options.quick):
            found[section.name] = as_json(section)
            notes.extend(section.notes)
            if not options.json:
                print(f"\n{as_text(section)}", flush=True)
    if options.json:
        print(json.dumps(found | {"notes": notes}))


if __name__ == "__main__":
    main()

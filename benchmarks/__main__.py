"""Run benchmarks and print a table each.

python -m benchmarks [client] [contract] [transforms] [--json] [--quick]
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict

from benchmarks import client, contract, machine, transforms
from benchmarks.tables import Section, as_json, as_text

BENCHMARKS: dict[str, Callable[[bool], list[Section]]] = {
    "contract": contract.run,
    "transforms": transforms.run,
    "client": client.run,
}


def main() -> None:
    """Run what was asked for, in the order of BENCHMARKS."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory; ratios in one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--json", action="store_true", help="one object: the machine, and a list of rows a table")
    parser.add_argument("--quick", action="store_true", help="less data: a minute or so, noisier figures")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}")

    here = machine.describe()
    found: dict[str, object] = {"machine": asdict(here)}
    if not options.json:
        print(here.line(), flush=True)
    for name, run in BENCHMARKS.items():
        if options.names and name not in options.names:
            continue
        for section in run(options.quick):
            found[section.name] = as_json(section)
            if not options.json:
                print(f"\n{as_text(section)}", flush=True)
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()

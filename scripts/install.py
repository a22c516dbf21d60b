"""Make the virtual environment and install the project with its pins: `install.py VENV STAMP FILE...`.

Holds a lock, so that two calls in one clone do not install into each other's way.
"""

import fcntl
import subprocess
import sys
import venv
from pathlib import Path


def main() -> None:
    """Install, unless another call has done so since."""
    folder, stamp = Path(sys.argv[1]), Path(sys.argv[2])
    if sys.version_info < (3, 11):
        sys.exit(
            f"Ratecard needs Python 3.11 or newer, this is {sys.version.split()[0]}: call `make PYTHON=python3.12 …`"
        )
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.stat().st_mtime >= max(path.stat().st_mtime for path in map(Path, sys.argv[3:])):
            return
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        print("installing into .venv (a minute or two) …", file=sys.stderr)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--constraint", "constraints.txt", "--editable", ".[demo,dev]"], check=True)
        stamp.touch()


if __name__ == "__main__":
    main()

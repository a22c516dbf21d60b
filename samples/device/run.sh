#!/bin/bash
# On the machine with the GPU: bash FOLDER/code/run.sh SECONDS OUT. Wheels of FOLDER/whl are installed beside what is there.
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)
site=${SITE:-/tmp/site}
python=${PYTHON:-python3}
if ls "$folder"/whl/*.whl >/dev/null 2>&1; then
    "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" "$folder"/whl/*.whl
fi
"$python" "$folder/code/shim.py" "$site"
export PYTHONPATH="$site:$folder/code" PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TRANSFORMERS_VERBOSITY=warning
"$python" "$folder/code/check.py" 2>&1 | tail -3 &
exec "$python" "$folder/code/device.py" "$folder/plans" "$2" --seconds "$1"

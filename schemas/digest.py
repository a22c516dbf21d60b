"""One hash for configurations: SHA-256 of canonical JSON."""

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """SHA-256 (hex) of `value` as JSON with sorted keys and no spaces; what is not JSON is taken as text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()

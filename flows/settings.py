"""Prefect's settings for the command line: quiet, no telemetry, a patient start of the ephemeral API.

Call `quiet_prefect` before the first `import prefect`. Whatever the user has set stays.
"""

import os

_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # the command prints its own messages; a mistake of the user's deserves no traceback
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # its temporary server is stopped in the middle of what it does, which the libraries below it log with a traceback
    "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def quiet_prefect() -> None:
    """Set defaults for what the environment leaves open."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)

"""What one check of `ratecard doctor` says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table; `to_do` is empty only where the status is ok."""

    check: str
    status: Literal["ok", "warning", "failed"]
    found: str
    to_do: str = ""

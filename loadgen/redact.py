"""Keeps secrets out of messages."""

import re
from collections.abc import Iterable, Mapping

ERROR_CHARACTERS = 500

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_CREDENTIALS = re.compile(
    r"""(authorization["']?\s*[:=]\s*["']?)(?:(?:bearer|basic)\s+)?[^\s"',}]+|\b(bearer\s+)[\w.~+/=-]{8,}""",
    re.IGNORECASE,
)
_MASK = "***"


class Redactor:
    """Masks the given secrets, and whatever stands where an Authorization header has its value."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # the longest first, or a secret that contains another would keep its rest
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    @classmethod
    def of_headers(cls, headers: Mapping[str, str], *secrets: str) -> "Redactor":
        """Masks `secrets` and the values of headers whose name sounds like one."""
        return cls([*secrets, *(value for name, value in headers.items() if _SECRET_HEADER.search(name))])

    def message(self, text: str) -> str:
        """The first 500 characters of `text`, masked before they are cut."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        text = _CREDENTIALS.sub(lambda match: (match[1] or match[2]) + _MASK, text)
        return text.replace("\x00", "")[:ERROR_CHARACTERS]

"""The secrets that a target names: read from their environment variables here, once a shard."""

import base64
import os
from dataclasses import dataclass

from loadgen.spec import Target
from schemas.errors import SpecError

_LONGEST = 255  # bytes of a name or a password that SOCKS has room for (RFC 1929)

Login = tuple[str, str]
"""User and password."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The endpoint's key, empty where it has none, and the login for its proxy."""

    key: str
    proxy_login: Login | None

    @classmethod
    def of(cls, target: Target) -> "Secrets":
        """Read what `target` names. Raises SpecError if it is not there, or is nothing that could be sent."""
        return cls(_key(target.api_key_env), _login(target.proxy_auth_env, str(target.proxy)))

    def unsayable(self) -> tuple[str, ...]:
        """What no message may repeat: the key, and the password, by itself and as it goes over the wire."""
        if self.proxy_login is None:
            return (self.key,)
        pair = ":".join(self.proxy_login)
        return self.key, pair, self.proxy_login[1], base64.b64encode(pair.encode()).decode()


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = _read(variable, "the endpoint's API key")
    if not (key.isascii() and key.isprintable()):
        raise SpecError(
            f"the API key in the environment variable {variable} has characters that no HTTP header can carry"
        )
    return key


def _login(variable: str | None, proxy: str) -> Login | None:
    if variable is None:
        return None
    user, colon, password = _read(variable, "USER:PASSWORD for the proxy").partition(":")
    if not colon:
        raise SpecError(
            f"USER:PASSWORD for the proxy is expected in the environment variable {variable}, which has no colon"
        )
    if proxy.startswith("socks5") and max(len(user.encode()), len(password.encode())) > _LONGEST:
        raise SpecError(
            f"USER:PASSWORD in the environment variable {variable} is too long: SOCKS takes {_LONGEST} bytes each"
        )
    return user, password


def _read(variable: str, what: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SpecError(f"{what} is expected in the environment variable {variable}, which is not set")
    return value

"""Every error that a user can meet, as one tree; each message says what was wrong, where, and what to do.

RatecardError                 exit code 1: the work failed
├── UsageError                exit code 2: wrong usage
│   └── CatalogError          exit code 2: a mistake in a catalog file
├── EndpointError             the endpoint cannot be measured (unreachable, refused the key, no such model)
├── EndpointBusyError         another run holds the endpoint's lock
├── LandingError              a part, a manifest or a folder that cannot be landed
└── WarehouseError            the warehouse cannot be built, published or asked
"""


class RatecardError(Exception):
    """Base: shown to the user as its message alone, without a traceback."""

    exit_code = 1


class UsageError(RatecardError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class CatalogError(UsageError):
    """Mistakes in catalog files: one line each with file, line, field, found and expected."""


class EndpointError(RatecardError):
    """The endpoint cannot be measured."""


class EndpointBusyError(RatecardError):
    """Another run is measuring the endpoint."""


class LandingError(RatecardError):
    """Data could not be landed; what had landed before is kept."""


class WarehouseError(RatecardError):
    """The warehouse could not be built, published or asked; the published file is untouched."""

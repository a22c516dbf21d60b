"""What can go wrong in a build.

BuildError              a table could not be built or is not what it promises
└── OrderError          the SQL files refer to each other in a circle, or to a table that nobody makes
"""


class BuildError(Exception):
    """A build stopped: the message names the table, what was expected, what was found and what to do."""


class OrderError(BuildError):
    """The order of the SQL files cannot be derived: a cycle, an unknown table, or SQL that does not parse."""

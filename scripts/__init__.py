"""Chores of the repository: installing, linting, generated docs."""

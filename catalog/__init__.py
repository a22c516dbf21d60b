"""What to measure and what it costs: the YAML files that a user edits.

This folder is the starter catalog: `ratecard init DIR` copies it, and commands use it where no `--catalog` is
given and the working directory has none. The models are in `schemas/catalog.py`.
"""

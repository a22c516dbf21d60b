"""`python -m flows` is the `ratecard` command."""

from flows.cli import main

main()

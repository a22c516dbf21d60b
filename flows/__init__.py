"""Prefect flows and tasks, and the `ratecard` command. Orchestration only: no maths, no SQL, no sockets.

Only this package imports prefect, and only inside what needs it: `ratecard sql` starts without it.
"""

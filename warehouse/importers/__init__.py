"""Results that other tools have measured, as history of ours: one module a format, and what they share.

A format's module reads files into `Level`s (`levels.py`): per-request records, which become request traces, or a
summary, which becomes a summary point. `land.py` puts levels into runs, and both through the same landing and contract
as what Ratecard measures. Nothing here builds tables or knows Prefect.
"""

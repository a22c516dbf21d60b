"""Pictures of the published warehouse: the HTML report, the rate card in the terminal, the plan before a run.

What is here reads curated tables and lays them out: `sections.py` reads, `words.py`, `loads.py` and `numbers.py` say,
`charts.py` draws, `page.py` puts the page together, and `sql/` holds its queries. Nothing here computes a metric, a
server count or a price (that is `transforms/`, so that SQL and page cannot differ), writes to the warehouse, or knows
Prefect.
"""

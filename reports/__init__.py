"""Pictures of the published warehouse: the HTML report, the rate card in the terminal, the plan before a run.

What is here reads curated tables and lays them out (docs/report.md): `source.py` and `sections.py` read, `words.py`,
`loads.py` and `numbers.py` say, `charts.py`, `figures.py` and `vega.py` draw, `page.py` puts the page together from
`templates/` and `scripts/`, and `sql/` holds its queries. Nothing here computes a metric, a server count or a price (that
is `transforms/`, so that SQL and page cannot differ), except the calculator's scripts, which a test holds to SQL. Nothing
writes to the warehouse, or knows Prefect.
"""

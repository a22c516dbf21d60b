"""Feeds: what is published is carried on to where other tools read it, each target swapped in whole.

One module a feed, and what it alone needs beside it: `parquet` (a folder of partitioned files), `postgres` (tables in
a schema), `focus` (a cost-and-usage file). They read the published warehouse and nothing else. Nothing here measures,
prices or decides.
"""

"""What Ratecard's speed, memory and truth are, measured against something bare in the same run: `make bench`.

`python -m benchmarks [NAME ...]`; BENCHMARKS in `__main__.py` lists them. Each benchmark is a module with `run(quick)`
that generates its data, checks that what it timed did the work, and returns tables. Those of the client share
`endpoint.py` (the reference endpoint), `clients.py` (who is compared) and `shards.py` (our worker). Nothing here
asserts on a time, nothing outside imports it, and only temporary folders are written, and `.bench-peers/` where asked.
"""

"""What Ratecard's speed and memory are, measured against something bare in the same run: `make bench`.

`python -m benchmarks [client|contract|transforms ...]`. Each benchmark is a module with `run(quick)` that generates its
data, checks that what it timed did the work, and returns tables. Nothing here asserts on a time, nothing outside
imports it, and only temporary folders are written.
"""

"""The reference endpoint: an OpenAI-compatible server that emits tokens on a given schedule and logs the truth.

`request.py` reads what the client wants, `service.py` decides on the answer, `script.py` says which bytes leave when
(`chat.py` and `responses.py` speak the dialects, `wire.py` wraps them in HTTP, `faults.py` spoils them). `server.py`
plays scripts on time, as many at once as `capacity.py` lets it. `stamps.py` asks the kernel when it really happened,
`truth.py` writes that down, and `metrics.py` says what an engine would know.
"""

"""The reference endpoint: an OpenAI-compatible server that emits tokens on a given schedule and logs the truth.

`request.py` reads what the client wants, `script.py` says which bytes leave when, `server.py` plays scripts on time,
`stamps.py` asks the kernel when it really happened, `truth.py` writes that down.
"""

"""Servers that we ship, each run as a child process and imported by nobody in the product.

`python -m endpoints.llama` is the local engine (llama.cpp serving a small random Llama, for the demo and the tests);
`python -m endpoints.reference` is the reference endpoint, which emits tokens on a given schedule and logs the truth.
Both print JSON lines on stdout, the last of which is `ready` (or `error`), and both die with their parent if asked to.
Nothing here may import the rest of the project: a server under test must not share code with its client.
"""

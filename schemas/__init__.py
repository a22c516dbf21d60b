"""Contracts: what a catalog file, a trace row and a warehouse table must look like.

`columns` is the one list of columns (standard library only); the Arrow schemas, pandera contracts,
`COMMENT ON` statements and the data dictionary derive from it. Nothing here opens a socket, runs SQL or
knows where data lives.
"""

"""SQL, one file a table, and the small runner that orders and executes it.

`staging/*.sql` and `curated/*.sql` hold one SELECT each, and the path is the table's name; where SQL is the wrong
tool, a `.py` with `build(con)` makes the table; `*.test.sql` beside them return the rows that must not exist;
`macros/*.sql` are the public what-if macros. Nothing here knows where
raw data lives or how a warehouse is published: `runner.build` gets an open connection.
"""

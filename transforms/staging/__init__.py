"""Tables that curated ones are made of, and that are not published: a `.sql` file each, or a `.py` with `build(con)`."""

"""A kind of source of its own: paths of a KV v1 engine, whose values count their versions."""

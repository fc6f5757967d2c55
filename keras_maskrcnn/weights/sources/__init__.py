"""Name tables: a model's variables by the names of each source of weights."""

"""Python code that builds, with another framework, the model whose weights are written for it."""

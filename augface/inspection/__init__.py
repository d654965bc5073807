"""A look inside the networks of a generator: what units, layers and directions do, and where classifiers look."""

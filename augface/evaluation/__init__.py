"""`evaluate`: one set of synthetic faces measured against real ones."""

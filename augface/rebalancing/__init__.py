"""`rebalance`: from an imbalanced data set to a balanced one with a verdict."""

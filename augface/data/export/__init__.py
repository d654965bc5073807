"""The balanced data set as a folder that other tools read as it is."""

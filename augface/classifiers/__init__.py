"""Classifiers of faces: which attributes a face shows, whether it is a copy, whether a generator made it."""

"""Asking people: is this face real, which of two looks more real, how good is it? All on one machine, offline.

`new_study` plans it from folders of faces, `serve` shows it to raters, `analyse` turns their answers into an
`Evaluation`.
"""

"""From photos to faces in their context: inversion, variations and edits as files. The maths is in the generators."""

"""A page to play with a generator: sliders for attributes and noise, served on this machine or as one file."""

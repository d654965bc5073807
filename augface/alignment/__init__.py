"""From a photo to faces as a generator's training faces are: found, turned upright, and cropped alike."""

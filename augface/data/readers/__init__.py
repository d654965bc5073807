"""From folders, zips and label files to a listing: which images there are, and what is known of each."""

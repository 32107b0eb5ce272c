"""The datasets, those of one kind in a file: where their files lie, what they are, and how one image is read."""

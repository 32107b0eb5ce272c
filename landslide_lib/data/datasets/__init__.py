"""One file a dataset: where its files lie, what they are, and how one image is read."""

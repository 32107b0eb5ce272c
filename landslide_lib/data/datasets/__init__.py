"""One file for each dataset: where its files lie, what they are, and how one image is read."""

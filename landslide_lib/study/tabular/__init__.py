"""What is measured of tables and of hand-made features of tiles, and published for who has no files.

- `published`: what a chapter shows without the files. `images`: boosted trees on the tiles of a whole dataset.
"""

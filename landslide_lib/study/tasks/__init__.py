"""The five tasks, as recipes choose them; `landslide_lib.training` trains.

A module a task, of its name. Its `run` trains a recipe from its last checkpoint, or from the start, and raises
FloatingPointError where the network diverged. Its `restore` evaluates the trained networks that a recipe takes as they
are, and raises ValueError where their weights are of another run, or damaged; the message names the file.
"""

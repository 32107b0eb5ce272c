"""The five tasks, as recipes choose them; `landslide_lib.training` trains.

A module a task, of its name. Its `run` trains a recipe, from its last checkpoint if there is one. Its `restore`
evaluates the trained networks that a recipe takes as they are.
"""

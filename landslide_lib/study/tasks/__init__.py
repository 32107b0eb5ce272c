"""The five tasks, as recipes choose them; `landslide_lib.training` trains.

A module a task, of its name: its `run` trains a recipe, its `restore` evaluates the trained networks that a recipe
takes as they are.
"""

"""Tasks: how each trains and is evaluated."""

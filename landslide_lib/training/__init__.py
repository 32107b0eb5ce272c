"""Training: one loop for every task. It knows no recipe, no record and no report."""

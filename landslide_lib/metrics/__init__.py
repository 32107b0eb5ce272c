"""Metrics: confusion counts, scores from counts, detection scores, intervals of both."""

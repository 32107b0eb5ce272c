"""Boosted trees on tables, and what their scores are worth."""

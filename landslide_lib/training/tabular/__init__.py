"""Boosted trees on tables, and what certainty factors show of the labels that they are made of."""

"""Boosted trees on tables, and what their scores are worth.

- `boosting`: XGBoost with folds, its scores and what each column gave to a prediction.
- `certainty`: certainty factors, and what they show of the labels that they are made of.
- `tiles`: trees on hand-made features of tiles.
"""

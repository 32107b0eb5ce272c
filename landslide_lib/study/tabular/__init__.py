"""Tables in place of images: boosted trees, what their scores are worth, two open tables. No torch.

- `boosting`: XGBoost with folds, its scores and what each column gave to a prediction.
- `susceptibility`: samples whose factors are certainty factors; `certainty` asks of what labels.
- `catalogue`: NASA's catalogue of landslides. `tiles`: hand-made features of images; `images`: of
  a whole dataset, the only module here that needs the datasets.
- `published`: what a chapter shows of all these without the files.
"""

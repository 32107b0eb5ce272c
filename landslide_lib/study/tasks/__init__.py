"""The five tasks, as recipes choose them; `landslide_lib.training` trains."""

from __future__ import annotations

from types import ModuleType

from landslide_lib.study.tasks import run

__all__ = ["module_of", "run"]


def module_of(task: str) -> ModuleType:
    """Return the module of a task: its `run` trains a recipe, its `restore` takes weights up."""
    from landslide_lib.study.tasks import adaptation, classification, detection, pretraining, segmentation

    modules = {
        "segmentation": segmentation,
        "detection": detection,
        "pretraining": pretraining,
        "adaptation": adaptation,
        "classification": classification,
    }
    return modules[task]

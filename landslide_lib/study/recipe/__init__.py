"""What a run is: typed, strict, hashable; a bad one is refused before anything is loaded or trained.

>>> recipe({"dataset": "synthetic", "loss": [{"name": "focal", "gama": 2.0}]})
Traceback (most recent call last):
...
landslide_lib.study.recipe.RecipeError: loss[0].focal.gama = 2.0: unknown key
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Discriminator, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from landslide_lib.study.recipe.adaptation import Adaptation
from landslide_lib.study.recipe.base import Recipe, non_default_fields
from landslide_lib.study.recipe.classification import Classification
from landslide_lib.study.recipe.detection import Detection
from landslide_lib.study.recipe.segmentation import Segmentation
from landslide_lib.study.recipe.starts import Pretraining

__all__ = ["BUDGETS", "PROFILES", "STAND_INS", "TASKS", "AnyRecipe", "Recipe", "RecipeError", "merge", "recipe"]
__all__ += ["Adaptation", "Classification", "Detection", "Pretraining", "Segmentation"]
__all__ += ["non_default_fields", "profile", "profile_of"]


def _read(name: str) -> Any:
    return yaml.safe_load(Path(__file__).with_name(name).read_text("utf-8"))


#: The named budgets of each task, by name; their names; and what stands in for large encoders, by profile.
PROFILES: dict[str, dict[str, dict[str, Any]]] = _read("profiles.yaml")
BUDGETS = tuple(PROFILES["segmentation"])
STAND_INS: dict[str, dict[str, Any]] = _read("stand_ins.yaml")
_ALL: tuple[type[Recipe], ...] = (Segmentation, Detection, Pretraining, Adaptation, Classification)
TASKS = {model.__name__.lower(): model for model in _ALL}


def _task(given: Any) -> str:
    """Return the task of a recipe; the first ones did not name theirs."""
    task = given.get("task", "segmentation") if isinstance(given, Mapping) else getattr(given, "task", "segmentation")
    return str(task)


#: A recipe of any task, as a record holds it.
AnyRecipe = Annotated[
    Annotated[Segmentation, Tag("segmentation")]
    | Annotated[Detection, Tag("detection")]
    | Annotated[Pretraining, Tag("pretraining")]
    | Annotated[Adaptation, Tag("adaptation")]
    | Annotated[Classification, Tag("classification")],
    Discriminator(_task),
]
_ANY: TypeAdapter[Recipe] = TypeAdapter(AnyRecipe)


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names key, value and what is allowed."""


def recipe(*layers: Mapping[str, Any]) -> Recipe:
    """Build a recipe from partial ones, laid over one another by `merge`. Raises RecipeError: it cannot be run.

    >>> recipe({"dataset": "bijie", "split": {"fold": 1}}, {"split": {"folds": 3}}).split.fold
    1
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge(merged, layer)
    try:
        # From JSON: lists become tuples, everything else stays strict.
        return _ANY.validate_json(json.dumps(merged))
    except ValidationError as error:
        raise RecipeError("\n".join(map(_explain, error.errors()))) from None
    except (TypeError, ValueError) as error:
        raise RecipeError(f"not a recipe: {error}") from None


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a change over a base: nested dicts key by key, everything else replaced.

    >>> merge({"a": {"x": 1, "y": 2}, "b": [1]}, {"a": {"y": 3}, "b": [2]})
    {'a': {'x': 1, 'y': 3}, 'b': [2]}
    """
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def profile(name: str, task: str = "segmentation") -> dict[str, Any]:
    """Return the budget of a profile for a task. Raises RecipeError: there is none of this name."""
    if name not in BUDGETS:
        raise RecipeError(f"profile = {name!r}: unknown; allowed: {', '.join(BUDGETS)}")
    return dict(PROFILES[task][name])


def profile_of(made: Recipe) -> str | None:
    """Return the name of the profile whose budget a recipe has, or None."""
    for name, budget in PROFILES[made.task].items():
        used = budget.keys() - set(made.unused_fields)
        if all(getattr(made, key) == budget[key] for key in used):
            return name
    return None


def _explain(error: ErrorDetails) -> str:
    """Say of one pydantic error where it is, which value it is about, and what is wrong."""
    task, *keys = error["loc"] or [""]
    where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown key"
        if len(keys) == 1:
            message += f"; allowed: {', '.join(sorted(TASKS[str(task)].model_fields))}"
    if error["type"] in ("missing", "value_error"):  # ours name the value that they are about
        return f"{where}: {message}" if where else message
    return f"{where or 'task'} = {error['input']!r}: {message}"

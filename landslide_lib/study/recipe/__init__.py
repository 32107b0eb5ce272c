"""What a run is: typed, strict, hashable; a bad one is refused before anything is loaded or trained.

>>> recipe({"dataset": "synthetic", "loss": [{"name": "focal", "gama": 2.0}]})
Traceback (most recent call last):
...
landslide_lib.study.recipe.RecipeError: loss[0].gama = 2.0: unknown key; allowed: alpha, factor, gamma, name
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import Discriminator, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from landslide_lib.fields import Part
from landslide_lib.study.recipe.adaptation import Adaptation
from landslide_lib.study.recipe.base import Recipe, non_default_fields
from landslide_lib.study.recipe.classification import Classification
from landslide_lib.study.recipe.detection import Detection
from landslide_lib.study.recipe.segmentation import Segmentation
from landslide_lib.study.recipe.starts import Pretraining

__all__ = ["BUDGETS", "PROFILES", "STAND_INS", "TASKS", "AnyRecipe", "Recipe", "RecipeError", "merge", "recipe"]
__all__ += ["Adaptation", "Classification", "Detection", "Pretraining", "Segmentation"]
__all__ += ["non_default_fields", "profile", "profile_of"]

#: The named budgets of each task, by name.
PROFILES: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("profiles.yaml").read_text(encoding="utf-8")
)
#: Their names.
BUDGETS = tuple(PROFILES["segmentation"])
#: What stands in for large encoders, by profile.
STAND_INS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("stand_ins.yaml").read_text(encoding="utf-8")
)

_ALL: tuple[type[Recipe], ...] = (Segmentation, Detection, Pretraining, Adaptation, Classification)
TASKS = {model.__name__.lower(): model for model in _ALL}


def _task(given: Any) -> str:
    """Return the task of a recipe; the first ones of this study did not name theirs."""
    if isinstance(given, Mapping):
        return str(given.get("task", "segmentation"))
    return str(getattr(given, "task", "segmentation"))


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
    """Build a recipe from partial ones (base, row's change, profile, ...), laid over one another by `merge`.

    Raises:
        RecipeError: Unknown key, wrong type, value out of range, impossible combination.

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
        task = TASKS.get(_task(merged), Recipe)
        raise RecipeError("\n".join(_explain(each, task) for each in error.errors())) from None
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
    """Return the name of the profile whose budget a recipe has, or None.

    >>> profile_of(recipe({"dataset": "bijie"}, profile("quick")))
    'quick'
    """
    for name, budget in PROFILES[made.task].items():
        used = budget.keys() - set(made.unused_fields)
        if all(getattr(made, key) == budget[key] for key in used):
            return name
    return None


def _explain(error: ErrorDetails, task: type[Recipe]) -> str:
    """Say of one pydantic error which key, which value, and what is allowed."""
    where, allowed = "", set[str]()
    candidates: list[type[Part]] = [task]
    for key in error["loc"][1:]:  # the first one is the task
        if isinstance(key, int):
            where += f"[{key}]"
        elif len(candidates) > 1:  # behind the place of a part pydantic puts its name
            candidates = [part for part in candidates if key in _names(part)]
        else:
            where += f".{key}"
            allowed = {name for part in candidates for name in part.model_fields}
            fields = [part.model_fields[key].annotation for part in candidates if key in part.model_fields]
            candidates = [part for annotation in fields for part in _parts(annotation)]
    where = where.lstrip(".")
    if error["type"] == "extra_forbidden":
        return f"{where} = {error['input']!r}: unknown key; allowed: {', '.join(sorted(allowed))}"
    if error["type"] == "missing":
        return f"{where}: missing; {error['msg'].lower()}"
    if error["type"] == "union_tag_not_found":
        names = sorted({name for part in candidates for name in _names(part)})
        return f"{where} = {error['input']!r}: name is missing; allowed: {', '.join(names)}"
    if error["type"] == "union_tag_invalid":
        key, expected = f"{where}.name" if where else "task", error["ctx"]["expected_tags"].replace("'", "")
        return f"{key} = {error['ctx']['tag']!r}: unknown; allowed: {expected}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{where} = {error['input']!r}: {message}" if where else message


def _parts(annotation: Any) -> list[type[Part]]:
    """Return the parts that a field can hold."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Part) else []
    return [part for inner in get_args(annotation) for part in _parts(inner)]


def _names(part: type[Part]) -> tuple[str, ...]:
    """Return the names that choose a part of a union."""
    return get_args(part.model_fields["name"].annotation)

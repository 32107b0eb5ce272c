"""What a run is: typed, strict, hashable.

A recipe is refused before anything is loaded or trained, with a message that names the key,
the value and what is allowed::

    >>> recipe({"dataset": "synthetic", "loss": [{"name": "focal", "gama": 2.0}]})
    Traceback (most recent call last):
    ...
    landslide_lib.study.recipe.RecipeError: loss[0].gama = 2.0: unknown key; allowed: \
alpha, factor, gamma, name
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from landslide_lib.fields import Part
from landslide_lib.study.recipe.adaptation import Adaptation
from landslide_lib.study.recipe.base import Recipe, non_default_fields
from landslide_lib.study.recipe.classification import Classification
from landslide_lib.study.recipe.detection import Detection
from landslide_lib.study.recipe.pretraining import Pretraining
from landslide_lib.study.recipe.segmentation import PRETRAINED, Segmentation

__all__ = [
    "PRETRAINED",
    "PROFILES",
    "TASKS",
    "Adaptation",
    "AnyRecipe",
    "Classification",
    "Detection",
    "Pretraining",
    "Recipe",
    "RecipeError",
    "Segmentation",
    "merge",
    "non_default_fields",
    "profile",
    "profile_of",
    "recipe",
]

TASKS: dict[str, type[Recipe]] = {
    "segmentation": Segmentation,
    "detection": Detection,
    "pretraining": Pretraining,
    "adaptation": Adaptation,
    "classification": Classification,
}


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


#: The named budgets of each task. `smoke` is for tests and cannot be published; `full` is assumed
#: where the report states no budget, as none of those of segmentation and detection does.
PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "segmentation": {
        "smoke": {"epochs": 1, "subset": 40, "image_size": 32, "width": 4, "batch": 8},
        "quick": {"epochs": 4, "subset": 320, "image_size": 64, "width": 8, "batch": 16},
        "cpu": {"epochs": 12, "subset": None, "image_size": 64, "width": 16, "batch": 16},
        "full": {"epochs": 50, "subset": None, "image_size": 128, "width": 64, "batch": 32},
    },
    "detection": {
        "smoke": {
            "epochs": 1,
            "subset": 40,
            "image_size": 64,
            "width": 16,
            "batch": 4,
            "tiny": True,
            "masked_epochs": 1,
            "presence_epochs": 1,
        },
        "quick": {
            "epochs": 4,
            "subset": 200,
            "image_size": 64,
            "width": 16,
            "batch": 8,
            "tiny": True,
            "masked_epochs": 4,
            "presence_epochs": 4,
        },
        "cpu": {
            "epochs": 12,
            "subset": None,
            "image_size": 128,
            "width": 64,
            "batch": 8,
            "tiny": False,
            "masked_epochs": 30,
            "presence_epochs": 6,
        },
        "full": {
            "epochs": 30,
            "subset": None,
            "image_size": 224,
            "width": 256,
            "batch": 16,
            "tiny": False,
            "masked_epochs": 300,
            "presence_epochs": 20,
        },
    },
    # How many epochs, is said by the detector that grows from it.
    "pretraining": {
        "smoke": {"subset": 40, "image_size": 64, "batch": 4, "tiny": True},
        "quick": {"subset": 200, "image_size": 64, "batch": 8, "tiny": True},
        "cpu": {"subset": None, "image_size": 128, "batch": 8, "tiny": False},
        "full": {"subset": None, "image_size": 224, "batch": 16, "tiny": False},
    },
    # The report states batch and steps: 20,000 of 16 patches are 84 epochs of its 3,799.
    "adaptation": {
        # After so few steps a network is sure of no landslide.
        "smoke": {"epochs": 1, "subset": 40, "image_size": 32, "batch": 4, "size": "tiny", "confidence": 0.01},
        "quick": {"epochs": 2, "subset": 120, "image_size": 32, "batch": 8, "size": "tiny", "confidence": 0.05},
        "cpu": {"epochs": 12, "subset": None, "image_size": 32, "batch": 16, "size": "small"},
        "full": {"epochs": 84, "subset": None, "image_size": 128, "batch": 16, "size": "base"},
    },
    # In full epochs and members are those that the reports state.
    "classification": {
        "smoke": {
            "epochs": 1,
            "subset": 60,
            "image_size": 32,
            "batch": 8,
            "optical_size": 32,
            "tiny": True,
            "members": 2,
        },
        "quick": {
            "epochs": 3,
            "subset": 300,
            "image_size": 64,
            "batch": 16,
            "optical_size": 64,
            "tiny": True,
            "members": 2,
        },
        "cpu": {
            "epochs": 12,
            "subset": None,
            "image_size": 64,
            "batch": 32,
            "optical_size": 64,
            "tiny": False,
            "members": 3,
        },
        "full": {"subset": None, "image_size": 64, "batch": 16, "optical_size": None, "tiny": False},
    },
}
#: Their names.
BUDGETS = tuple(PROFILES["segmentation"])


def recipe(*layers: Mapping[str, Any]) -> Recipe:
    """Build a recipe from layers, a later one over an earlier one.

    Args:
        *layers: Partial recipes as plain dicts (base, row's change, profile, ...). Nested
            dicts are merged key by key; lists and values are replaced.

    Returns:
        The recipe.

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
        raise RecipeError("\n".join(_explain(e, merged) for e in error.errors())) from None
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
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def profile(name: str, task: str = "segmentation") -> dict[str, Any]:
    """Return the budget of a profile for a task.

    Raises:
        RecipeError: No profile has this name.

    >>> sorted(profile("cpu"))
    ['batch', 'epochs', 'image_size', 'subset', 'width']
    """
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


def _explain(error: ErrorDetails, given: Mapping[str, Any]) -> str:
    """Say of one pydantic error which key, which value, and what is allowed."""
    if error["type"] == "union_tag_invalid" and not error["loc"]:
        return f"task = {_task(given)!r}: unknown; allowed: {', '.join(TASKS)}"
    path = list(error["loc"][1:])  # the first one is the task
    allowed, shown, names = _walk(TASKS[_task(given)], path)
    where = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in shown).lstrip(".")
    if error["type"] == "extra_forbidden":
        return f"{where} = {error['input']!r}: unknown key; allowed: {', '.join(sorted(allowed))}"
    if error["type"] == "missing":
        return f"{where}: missing; {error['msg'].lower()}"
    if error["type"] == "union_tag_not_found":
        return f"{where} = {error['input']!r}: name is missing; allowed: {', '.join(sorted(names))}"
    if error["type"] == "union_tag_invalid":
        wrong = error["input"].get("name") if isinstance(error["input"], dict) else None
        return f"{where}.name = {wrong!r}: unknown; allowed: {', '.join(sorted(names))}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{where} = {error['input']!r}: {message}" if where else message


def _walk(model: type[Part], path: list[int | str]) -> tuple[set[str], list[int | str], dict[str, type[Part]]]:
    """Follow a path of pydantic's into a recipe.

    Returns:
        The fields of the part before the path's last step, the path as a reader's file has it
        (pydantic puts the name of a chosen part behind its place), and of the last place that
        holds one of several parts these, by name.
    """
    shown: list[int | str] = []
    names: dict[str, type[Part]] = {}
    for place, key in enumerate(path):
        if str(key) in names and key not in model.model_fields:
            model, names = names[str(key)], {}
            continue
        shown.append(key)
        if isinstance(key, int):
            continue
        field = model.model_fields.get(key)
        kind = field.annotation if field else None
        names = _by_name(kind)
        if isinstance(kind, type) and issubclass(kind, Part) and place < len(path) - 1:
            model = kind
    return set(model.model_fields), shown, names


def _by_name(union: Any) -> dict[str, type[Part]]:
    """Return the parts of a union that is told apart by `name`; of a single part none."""
    found: dict[str, type[Part]] = {}
    if isinstance(union, type):
        if issubclass(union, Part) and "name" in union.model_fields:
            found[get_args(union.model_fields["name"].annotation)[0]] = union
        return found
    for inner in get_args(union):
        found |= _by_name(inner)
    return found

"""What a run is: typed, strict, hashable.

A recipe is refused before anything is loaded or trained, with a message that names the key,
the value and what is allowed::

    >>> recipe({"dataset": "synthetic", "loss": [{"name": "focal", "gama": 2.0}]})
    Traceback (most recent call last):
    ...
    landslide_lib.recipe.RecipeError: loss[0].gama = 2.0: unknown key; allowed: \
alpha, factor, gamma, name
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, get_args

from pydantic import ValidationError, model_validator
from pydantic_core import ErrorDetails

from landslide_lib import parts
from landslide_lib.bands import ENGINEERED, OF_DATASET, check
from landslide_lib.parts import LossTerm, Optimizer, Part, PostStep, Split, knob

#: The networks whose encoder has published weights, which are fetched when a recipe asks for them.
PRETRAINED = ("deeplab_v3", "efficientnet_v2", "small_mobilenet_v3", "small_deeplab_v3")


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names key, value and what is allowed."""


class Recipe(Part):
    """A frozen description of one run. The seed stands beside it, not in it."""

    dataset: Literal["synthetic", "bijie", "landslide4sense", "landslide4sense-boxes", "uav"]
    task: Literal["segmentation"] = knob("segmentation")
    bands: tuple[str, ...] = knob((), description="by name and in order; () is the dataset's own")
    split: Split = knob(Split())
    subset: int | None = knob(None, ge=20, description="images drawn before the split")
    image_size: int = knob(128, ge=16, le=1024, multiple_of=16)
    model: Literal[
        "unet", "unet_cbam", "unet_se", "unet_attention", "unet_residual", "rau_net_1", "rau_net_2",
        "small_v_net", "small_squeeze_unet", "small_mobilenet_v3", "small_deeplab_v3",
        "small_residual_unet", "small_rau_net", "deeplab_v3", "efficientnet_v2",
    ] = knob("unet")  # fmt: skip
    pretrained: bool = knob(False, description="the encoder starts from ImageNet's weights")
    head: Literal["mono", "dual", "multi_resolution"] = knob("mono")
    width: int = knob(64, ge=1, le=256, description="channels of the first stage")
    loss: tuple[LossTerm, ...] = knob((parts.CrossEntropy(name="ce"),))
    optimizer: Optimizer = knob(Optimizer())
    augmentation: tuple[Literal["rotation", "cutmix"], ...] = knob(("rotation", "cutmix"))
    epochs: int = knob(50, ge=1, le=10_000)
    batch: int = knob(32, ge=1, le=4096)
    precision: Literal["32-true", "bf16-mixed"] = knob("bf16-mixed")
    post_processing: tuple[PostStep, ...] = knob((), description="of the trained network, in order")

    @model_validator(mode="after")
    def _terms_and_names(self) -> Recipe:
        if not self.loss:
            raise ValueError("loss is empty; name at least one term")
        for key, names in (
            ("bands", self.bands),
            ("augmentation", self.augmentation),
            ("loss", tuple(term.name for term in self.loss)),
            ("post_processing", tuple(step.name for step in self.post_processing)),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{key} names {', '.join(twice)} twice; name each once")
        check(self.bands, OF_DATASET[self.dataset], self.dataset)
        if self.pretrained and self.model not in PRETRAINED:
            raise ValueError(
                f"pretrained: there are no weights for {self.model}; allowed: "
                f"{', '.join(PRETRAINED)}"
            )
        steps = {step.name for step in self.post_processing}
        if "voting" in steps and self.head != "multi_resolution":
            raise ValueError(
                "post_processing: voting takes masks at several resolutions, and the head is "
                f"{self.head}; possible with it: opening, closing, multi_angles. Or take head "
                "multi_resolution"
            )
        return self

    @property
    def channels(self) -> int:
        """How many channels the network takes.

        >>> recipe({"dataset": "bijie"}).channels
        3
        """
        return len(self.bands or OF_DATASET[self.dataset])

    @property
    def trained(self) -> Recipe:
        """The recipe of the network that this one's post-processing grows from."""
        return self.model_copy(update={"post_processing": ()}) if self.post_processing else self

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 of what differs from the origins.

        >>> short = recipe({"dataset": "bijie"})
        >>> long = recipe({"dataset": "bijie", "epochs": 50, "split": {"folds": 5}})
        >>> short.hash == long.hash
        True
        """
        return _hash(self)

    @property
    def components(self) -> dict[str, int]:
        """The components that a run of this recipe uses, each with its revision."""
        names = [
            f"task/{self.task}",
            "pack",
            *(f"bands/{name}" for name in self.bands if name in ENGINEERED),
            f"dataset/{self.dataset}",
            f"split/{self.split.method}",
            f"model/{self.model}",
            f"optimizer/{self.optimizer.name}",
            f"schedule/{self.optimizer.schedule}",
            *([f"head/{self.head}"] if self.head != "mono" else []),
            *(f"loss/{term.name}" for term in self.loss),
            *(f"post_processing/{step.name}" for step in self.post_processing),
            *(f"augmentation/{name}" for name in self.augmentation),
        ]
        return {name: parts.REVISIONS.get(name, 1) for name in sorted(names)}


@lru_cache(maxsize=4096)
def _hash(made: Recipe) -> str:
    # Kept: a page of the book asks for some ten thousand of them.
    text = json.dumps(essence(made), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def essence(part: Part) -> dict[str, Any]:
    """Return the fields of a part that differ from the default they first had.

    Args:
        part: A recipe or one of its parts.

    Returns:
        A dict of plain values. Fields without a default are always in it.

    >>> essence(parts.Focal(name="focal", gamma=3.0))
    {'name': 'focal', 'gamma': 3.0}
    """
    kept: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = _plain(getattr(part, name))
        extra = field.json_schema_extra
        if isinstance(extra, dict) and value == extra["origin"]:
            continue
        kept[name] = value
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return essence(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


#: The named budgets. `smoke` is for tests and cannot be published; `full` is assumed where
#: the report states no budget, as `raunet-ablation.md` does not.
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {"epochs": 1, "subset": 40, "image_size": 32, "width": 4, "batch": 8},
    "quick": {"epochs": 6, "subset": 400, "image_size": 64, "width": 8, "batch": 16},
    "cpu": {"epochs": 12, "subset": None, "image_size": 64, "width": 16, "batch": 16},
    "full": {"epochs": 50, "subset": None, "image_size": 128, "width": 64, "batch": 32},
}


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
        return Recipe.model_validate_json(json.dumps(merged))
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


def profile(name: str) -> dict[str, Any]:
    """Return the budget of a profile.

    Raises:
        RecipeError: No profile has this name.

    >>> sorted(profile("cpu"))
    ['batch', 'epochs', 'image_size', 'subset', 'width']
    """
    if name not in PROFILES:
        raise RecipeError(f"profile = {name!r}: unknown; allowed: {', '.join(PROFILES)}")
    return dict(PROFILES[name])


def profile_of(made: Recipe) -> str | None:
    """Return the name of the profile whose budget a recipe has, or None.

    >>> profile_of(recipe({"dataset": "bijie"}, profile("quick")))
    'quick'
    """
    for name, budget in PROFILES.items():
        if all(getattr(made, key) == value for key, value in budget.items()):
            return name
    return None


def _explain(error: ErrorDetails, given: Any) -> str:
    """Say of one pydantic error which key, which value, and what is allowed."""
    path = list(error["loc"])
    tags = _by_name(path[0]) if path else {}
    if len(path) > 2 and isinstance(path[1], int):
        # pydantic puts the tag of a union behind the index; a reader's file has no such key.
        del path[2]
    where = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path).lstrip(".")
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_fields_at(error["loc"][:-1])))
        return f"{where} = {error['input']!r}: unknown key; allowed: {allowed}"
    if error["type"] == "missing":
        return f"{where}: missing; {error['msg'].lower()}"
    if error["type"] == "union_tag_not_found":
        return f"{where} = {error['input']!r}: name is missing; allowed: {', '.join(sorted(tags))}"
    if error["type"] == "union_tag_invalid":
        wrong = error["input"].get("name") if isinstance(error["input"], dict) else None
        return f"{where}.name = {wrong!r}: unknown; allowed: {', '.join(sorted(tags))}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{where} = {error['input']!r}: {message}" if where else message


def _by_name(field: int | str) -> dict[str, type[Part]]:
    """Return the parts that a list in a recipe may hold, each by its name."""
    unions = {"loss": LossTerm, "post_processing": PostStep}
    if field not in unions:
        return {}
    models = get_args(get_args(unions[str(field)])[0])
    return {get_args(model.model_fields["name"].annotation)[0]: model for model in models}


def _fields_at(path: tuple[int | str, ...]) -> set[str]:
    """Return the names of the fields of the part that a path leads to."""
    model: type[Part] = Recipe
    for key in path:
        if key == "split":
            model = Split
        elif key == "optimizer":
            model = Optimizer
        model = _by_name(path[0]).get(str(key), model)
    return set(model.model_fields)

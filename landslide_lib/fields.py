"""Typed settings: a frozen base class, and fields that remember the default they were introduced with.

Pure data, no torch: a bad recipe is refused at once.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

#: Raised by whoever changes what a component computes, so that no record made by the old
#: behaviour answers for the new one. A component that is not named here has revision 1.
REVISIONS: dict[str, int] = {
    "start/imagenet": 2,  # images of mean 0 and deviation 1
    "start/file": 2,
}

#: The range of each number that a loss takes, as pydantic's constraints. The upper ends keep every weight in float32.
#: Between 0 and 1 a focal gamma has a gradient without a bound.
LOSS_RANGES: dict[str, dict[str, float]] = {
    "focal.alpha": {"ge": 0.0, "le": 1.0},
    "focal.gamma": {"ge": 0.0, "le": 100.0},
    "iou.smooth": {"ge": 1e-6, "le": 1e6},
    "tversky.alpha": {"gt": 0.0, "le": 100.0},
    "tversky.beta": {"gt": 0.0, "le": 100.0},
    "tversky.smooth": {"ge": 1e-6, "le": 1e6},
    "boundary.weight": {"ge": 0.0, "le": 1000.0},
    "boundary.sigma": {"ge": 0.1, "le": 32.0},
    "center.weight": {"ge": 0.0, "le": 1000.0},
    "soft_ce.smoothing": {"ge": 0.0, "lt": 1.0},
    "ohem.share": {"gt": 0.0, "le": 1.0},
    "weighted_ce.weight": {"ge": 0.0, "le": 1000.0},
    "distillation.temperature": {"ge": 0.01, "le": 100.0},
    "distillation.alpha": {"ge": 0.0, "le": 1.0},
}


def field(default: Any, *, origin: Any = ..., **constraints: Any) -> Any:
    """Declare a field of a recipe with a default; `constraints` are pydantic's, such as `ge` and `description`.

    `origin` is the default that the field had when it was introduced, where that differs. The hash of a recipe leaves
    out a field at its *origin*: a new field changes no old hash, a changed default changes all that rely on it.
    """
    # Of a part only what it names: its own fields have their origins.
    plain = TypeAdapter(Any).dump_python(default if origin is ... else origin, mode="json", exclude_unset=True)
    return Field(default, json_schema_extra={"origin": plain}, **constraints)


class Frozen(BaseModel):
    """A frozen model without unknown fields; its numbers are finite. A field that was renamed has an alias in files."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Part(Frozen):
    """A piece of a recipe, of the very types."""

    model_config = ConfigDict(strict=True)

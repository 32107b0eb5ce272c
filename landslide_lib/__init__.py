"""Landslide detection: networks, losses, data, and five reports re-run row by row.

    import landslide_lib as ll

    data = ll.load("synthetic", size=64, subset=200)
    net = ll.models.UNet(in_channels=len(data.bands), width=8)
    run = ll.fit(net, data, loss=ll.losses.FocalLoss(gamma=2), epochs=2, seed=0)
    run.scores()

Names are looked up when they are first used, so that importing the library stays instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslide_lib import losses, models
    from landslide_lib.data.prepare import load
    from landslide_lib.study.table import table
    from landslide_lib.study.teaching import claim, show
    from landslide_lib.training.fit import fit

#: Each name of the front door, the module that it is in, and its name there ("" is the module).
_NAMES = {
    "load": ("landslide_lib.data.prepare", "load"),
    "fit": ("landslide_lib.training.fit", "fit"),
    "models": ("landslide_lib.models", ""),
    "losses": ("landslide_lib.losses", ""),
    "table": ("landslide_lib.study.table", "table"),
    "show": ("landslide_lib.study.teaching", "show"),
    "claim": ("landslide_lib.study.teaching", "claim"),
}

__all__ = ["claim", "fit", "load", "losses", "models", "show", "table"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'landslide_lib' has no attribute {name!r}")
    where, attribute = _NAMES[name]
    module = import_module(where)
    return getattr(module, attribute) if attribute else module


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])

"""What the runs of a process share of a packed dataset: the next run of a table starts at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from landslide_lib.data.pack import Packed

Made = TypeVar("Made")

#: Training, validation and test images, and the means of every image.
MOST = 4

_shelf: dict[Hashable, Any] = {}
_label: list[Hashable] = [None]


def shared(packed: Packed, bands: tuple[str, ...], key: Hashable, make: Callable[[], Made]) -> Made:
    """Return what was made of a dataset before, or make it.

    Rows and seeds of a table ask for the same, folds for other images of the same dataset. The
    shelf holds one dataset with one choice of bands, of that the last `MOST` things; the memory
    of what goes is free before the next is made.

    Args:
        packed: The dataset. One that lies in no folder is not kept: its owner may change it.
        bands: By name.
        key: What is asked for, such as a part's images and their dtype and device.
        make: Makes it; nobody may change what it returns.
    """
    if packed.folder is None:
        return make()
    if not there(packed, bands, key):
        if _label[0] != _labelled(packed, bands):
            clear()
            _label[0] = _labelled(packed, bands)
        while len(_shelf) >= MOST:
            _shelf.pop(next(iter(_shelf)))
        _shelf[key] = make()
    _shelf[key] = _shelf.pop(key)  # the last one asked for goes last
    made: Made = _shelf[key]
    return made


def there(packed: Packed, bands: tuple[str, ...], key: Hashable) -> bool:
    """Return whether `shared` would have to make nothing."""
    return _label[0] == _labelled(packed, bands) and key in _shelf


def clear() -> None:
    """Let go of everything."""
    _shelf.clear()
    _label[0] = None


def _labelled(packed: Packed, bands: tuple[str, ...]) -> Hashable:
    return packed.folder, packed.fingerprint, bands

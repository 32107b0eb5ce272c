"""What the runs of a process share of a packed dataset, so that the next run of a table starts at once."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from landslide_lib.data.pack import Packed

Value = TypeVar("Value")

#: Training, validation and test images, and the means of every image.
MOST = 4

_shelf: dict[Hashable, Any] = {}
_label: list[Hashable] = [None]


def shared(packed: Packed, bands: tuple[str, ...], key: Hashable, make: Callable[[], Value]) -> Value:
    """Return what was made of a dataset under a key before, or make it; nobody may change what it returns.

    The shelf holds one dataset with one choice of bands, of that the last `MOST` values; the memory of what is removed
    is free before the next is made. A dataset that lies in no folder is not stored: its owner may change it.
    """
    if packed.folder is None:
        return make()
    if not is_shared(packed, bands, key):
        if _label[0] != _label_of(packed, bands):
            clear()
            _label[0] = _label_of(packed, bands)
        while len(_shelf) >= MOST:
            _shelf.pop(next(iter(_shelf)))
        _shelf[key] = make()
    _shelf[key] = _shelf.pop(key)  # the last one asked for goes last
    value: Value = _shelf[key]
    return value


def is_shared(packed: Packed, bands: tuple[str, ...], key: Hashable) -> bool:
    """Return whether `shared` would have to make nothing."""
    return _label[0] == _label_of(packed, bands) and key in _shelf


def clear() -> None:
    """Remove everything."""
    _shelf.clear()
    _label[0] = None


def _label_of(packed: Packed, bands: tuple[str, ...]) -> Hashable:
    return packed.folder, packed.fingerprint, bands

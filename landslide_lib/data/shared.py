"""What the runs of a process share of a packed dataset, so that the next run of a table starts at once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from landslide_lib.data.pack import Packed

Value = TypeVar("Value")

#: Training, validation and test images, and the means of every image.
MOST = 4

_shelf: OrderedDict[tuple[Hashable, Hashable], Any] = OrderedDict()


def shared(packed: Packed, bands: tuple[str, ...], key: Hashable, make: Callable[[], Value]) -> Value:
    """Return what was made of a dataset under a key before, or make it; nobody may change what it returns.

    The shelf holds one dataset with one choice of bands, of that the last `MOST` values; the memory of what is removed
    is free before the next is made. A dataset that lies in no folder is not stored: its owner may change it.
    """
    if packed.folder is None:
        return make()
    label = packed.folder, packed.fingerprint, bands
    if (label, key) not in _shelf:
        if any(other != label for other, _ in _shelf):
            clear()
        while len(_shelf) >= MOST:
            _shelf.popitem(last=False)
        _shelf[label, key] = make()
    _shelf.move_to_end((label, key))
    value: Value = _shelf[label, key]
    return value


def is_shared(packed: Packed, bands: tuple[str, ...], key: Hashable) -> bool:
    """Return whether `shared` would have to make nothing."""
    return ((packed.folder, packed.fingerprint, bands), key) in _shelf


def clear() -> None:
    """Remove everything."""
    _shelf.clear()

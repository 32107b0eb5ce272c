"""Datasets: one small protocol, one explicit dict as the registry."""

from landslide_lib.data.base import BadFileError, BoxDataset, Dataset, DatasetNotFoundError, DownloadError, Sample
from landslide_lib.data.datasets.boxes import VOC, Dynahead, Landslide4SenseBoxes
from landslide_lib.data.datasets.derived import BijieDegraded, UAVAtBijieScale
from landslide_lib.data.datasets.folder import UAV, Bijie, FMoW, Folder
from landslide_lib.data.datasets.landslide4sense import Landslide4Sense
from landslide_lib.data.datasets.synthetic import Synthetic, SyntheticZindi
from landslide_lib.data.datasets.zindi import Zindi
from landslide_lib.data.pack import Packed, load_packed
from landslide_lib.paths import data_root

_CLASSES: tuple[type[Dataset], ...] = (Synthetic, Bijie, Landslide4Sense, Landslide4SenseBoxes, UAV, VOC, Folder, Zindi)
_CLASSES += (SyntheticZindi, BijieDegraded, UAVAtBijieScale, Dynahead, FMoW)
DATASETS: dict[str, Dataset] = {dataset.name: dataset() for dataset in _CLASSES}

__all__ = ["DATASETS", "BadFileError", "BoxDataset", "Dataset", "DatasetNotFoundError", "DownloadError", "Packed"]
__all__ += ["Sample", "data_root", "get_dataset", "load_packed"]


def get_dataset(name: str) -> Dataset:
    """Return a dataset by name. Raises ValueError: there is none of this name."""
    if name not in DATASETS:
        raise ValueError(f"dataset = {name!r}: unknown; allowed: {', '.join(DATASETS)}")
    return DATASETS[name]

"""From a record to a submission to a competition: Landslide4Sense's masks, or Zindi's labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landslide_lib.study import submission
from landslide_lib.study.recipe import Adaptation, Classification
from landslide_lib.study.records import Record, Store

#: The competition of each task, which is of the dataset of that name.
COMPETITIONS = {"adaptation": "landslide4sense", "classification": "zindi"}


def submit(
    record: Record, part: str, path: Path, *, store: Store, device: str = "auto", data_root: Path | None = None
) -> Path:
    """Write what a trained network, or an ensemble, predicts as a submission.

    The threshold is the record's own, which was chosen on validation images: of adaptation those of the source.

    Args:
        record: Of adaptation to Landslide4Sense, or of classification of Zindi's tiles.
        part: Of Landslide4Sense `valid` or `test`, of Zindi `test`. No truth of it is needed.
        path: The ZIP of masks, or the CSV of labels, to be.
        store: Where the weights are.
        device: `auto`, `cpu`, `cuda`.
        data_root: In place of `LANDSLIDE_DATA`.

    Returns:
        The path.

    Raises:
        ValueError: The record is of something else, its weights are of another run, or there is no such part, or not
            all of it.
        FileNotFoundError: The weights are not here.
        DatasetNotFoundError: The imagery is not here.
    """
    recipe = record.recipe
    if not isinstance(recipe, Adaptation | Classification):
        known = " or ".join(COMPETITIONS)
        raise ValueError(f"{record.name} is of {recipe.task}; a submission is of {known}")
    target = recipe.dataset
    if isinstance(recipe, Adaptation):
        target = recipe.target.dataset or target
    wanted = COMPETITIONS[recipe.task]
    if target != wanted:
        raise ValueError(
            f"{record.name} works on {target}, and the competition is of {wanted}; train the row "
            f"with --dataset {wanted}"
        )
    from landslide_lib.study import domains
    from landslide_lib.study.tasks import classification
    from landslide_lib.study.tasks.run import Setting
    from landslide_lib.training import devices

    grown = _members(record, store)
    packed = domains.load(recipe, root=data_root)
    setting = Setting(packed, record.seed, devices.device(device), None, grown, data_root)
    threshold = record.test_tuned.threshold
    if isinstance(recipe, Adaptation):
        return _masks(setting, part, threshold, path)
    labels = classification.labels(recipe, setting, part, threshold)
    return submission.write_labels(labels, path)


def _members(record: Record, store: Store) -> list[tuple[Record, Path]]:
    """Return the records that were trained, and the files of their weights."""
    members = [record]
    if not record.recipe.trains:
        members = [one for one in store.all() if one.name in record.grown_from]
        if lost := set(record.grown_from) - {one.name for one in members}:
            raise FileNotFoundError(
                f"{record.name} is of {', '.join(sorted(lost))}, whose records are not here; train "
                "the row again with --rerun"
            )
        members.sort(key=lambda one: record.grown_from.index(one.name))
    grown = [(one, store.weights(one)) for one in members]
    if missing := [str(weights) for _, weights in grown if not weights.is_file()]:
        raise FileNotFoundError(f"{', '.join(missing)}: the weights are not here; train the row again with --rerun")
    return grown


def _masks(setting: Any, part: str, threshold: float, path: Path) -> Path:
    from landslide_lib.study.tasks import adaptation

    masks = adaptation.masks(setting, part, threshold)
    if gaps := set(range(1, max(masks) + 1)) - masks.keys():
        raise ValueError(
            f"landslide4sense: the {part} part lacks the patches "
            f"{', '.join(map(str, sorted(gaps)[:5]))}, {len(gaps)} in all, and the competition "
            "wants a mask of each; get the rest of the part"
        )
    return submission.write(masks, path)

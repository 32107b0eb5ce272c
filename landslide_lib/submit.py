"""From a record of adaptation to a submission to the competition."""

from __future__ import annotations

from pathlib import Path

from landslide_lib import submission
from landslide_lib.recipe import Adaptation
from landslide_lib.records import Record, Store


def submit(
    record: Record,
    part: str,
    path: Path,
    *,
    store: Store,
    device: str = "auto",
    data_root: Path | None = None,
) -> Path:
    """Write the masks that a trained network, or an ensemble, predicts as a submission.

    The threshold is the record's own, which was chosen on validation images of the source.

    Args:
        record: Of adaptation to Landslide4Sense.
        part: Of Landslide4Sense: `valid` or `test`. Its masks are not needed.
        path: The ZIP to be.
        store: Where the weights are.
        device: `auto`, `cpu`, `cuda`.
        data_root: In place of `LANDSLIDE_DATA`.

    Returns:
        The path.

    Raises:
        ValueError: The record is of something else, its weights are of another run, or there is
            no such part, or not all of it.
        FileNotFoundError: The weights are not here.
        DatasetNotFoundError: The imagery is not here.
    """
    recipe = record.recipe
    if not isinstance(recipe, Adaptation):
        raise ValueError(f"{record.name} is of {recipe.task}; a submission is of adaptation")
    target = recipe.target.dataset or recipe.dataset
    if target != "landslide4sense":
        raise ValueError(
            f"{record.name} works on {target}, and the competition is of landslide4sense; train "
            "the row with --dataset landslide4sense"
        )
    from landslide_lib.datasets import domains
    from landslide_lib.tasks import adaptation, engine

    members = [record]
    if recipe.ensemble:
        members = [one for one in store.all() if one.name in record.grown_from]
        if lost := set(record.grown_from) - {one.name for one in members}:
            raise FileNotFoundError(
                f"{record.name} is of {', '.join(sorted(lost))}, whose records are not here; train "
                "the row again with --rerun"
            )
    grown = [(one, store.weights(one)) for one in members]
    if missing := [str(weights) for _, weights in grown if not weights.is_file()]:
        raise FileNotFoundError(
            f"{', '.join(missing)}: the weights are not here; train the row again with --rerun"
        )
    packed = domains.load(recipe, root=data_root)
    threshold = record.test_tuned.threshold
    masks = adaptation.masks(packed, record.seed, grown, engine.device(device), part,
                             threshold)  # fmt: skip
    if gaps := set(range(1, max(masks) + 1)) - masks.keys():
        raise ValueError(
            f"landslide4sense: the {part} part lacks the patches "
            f"{', '.join(map(str, sorted(gaps)[:5]))}, {len(gaps)} in all, and the competition "
            "wants a mask of each; get the rest of the part"
        )
    return submission.write(masks, path)

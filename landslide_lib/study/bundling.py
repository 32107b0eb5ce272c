"""`landslide bundle`: the network of a row that was trained here as one file with its card. Imports torch."""

from pathlib import Path
from statistics import median
from typing import Any

import torch

from landslide_lib.data.registry import data_root, get_dataset
from landslide_lib.geo import certainty
from landslide_lib.models.checkpoints import fill
from landslide_lib.study import domains
from landslide_lib.study.records import Record, RecordError, Store
from landslide_lib.study.reports import Row, Table
from landslide_lib.study.tasks.run import weights_of
from landslide_lib.study.tasks.segmentation import data_of, model_of
from landslide_lib.training.bundle import Bundle, load_bundle, save_bundle

#: The card of a network: `card` fills it in.
CARD = Path(__file__).with_suffix(".md").read_text("utf-8")


def bundle(
    table: Table, row: Row, recipe: Any, seed: int, out: Path, store: Store, metres: float | None, root: Path | None
) -> Path:
    """Write the network of a row's recipe to `out`, a file of safetensors, and its card beside it, `.md`; return `out`.

    `metres` is the side of a pixel of the training images on the ground, by default as the dataset says; `root` is the
    data root. Raises ValueError: the row is no segmentation with one mask, or nobody says how large a pixel is.
    RecordError: the seed was not trained here.
    """
    where = f"{table.name}, row {row.id}"
    if getattr(recipe, "head", None) != "mono":
        raise ValueError(f"{where}: a bundle takes a segmentation whose head is mono")
    source = get_dataset(recipe.dataset)
    if metres is None and source.metres_per_pixel is None:
        raise ValueError(
            f"{recipe.dataset}: nobody says how large a pixel of its images is on the ground; give --metres"
        )
    packed = domains.load(recipe, root=root)
    found = store.find(recipe, seed, packed.fingerprint)
    networks = [one for one in store.find(recipe.trained, seed, packed.fingerprint) if store.weights(one).is_file()]
    if not found or not networks:
        raise RecordError(f"{where}: the weights of seed {seed} are not here; `landslide weights` gets them")
    record, trained = found[0], networks[0]
    data = data_of(recipe, packed)
    network = model_of(recipe.trained, len(data.bands))
    path = store.weights(trained)
    fill(network, weights_of(trained, path, packed.fingerprint), path)
    if metres is None:
        sides = [min(source.read(sample)[0].shape[:2]) for sample in source.samples(root or data_root())[:16]]
        metres = source.metres_per_pixel * median(sides) / recipe.image_size
    tuned = record.test_tuned
    pooled = {key: round(value or 0, 4) for key, value in tuned.metrics["pooled"].items()}
    units = source.units if not isinstance(source.units, float) else dict.fromkeys(data.bands, source.units)
    save_bundle(
        out,
        network,
        {"model": recipe.model, "in_channels": len(data.bands), "width": recipe.width},
        bands=data.bands,
        shift=torch.zeros(len(data.bands)) if data.shift is None else data.shift,
        scale=data.scale,
        threshold=tuned.threshold,
        post_processing=[step.model_dump() for step in recipe.post_processing],
        metres_per_pixel=metres,
        units=[units[band] for band in data.bands] if units and all(band in units for band in data.bands) else None,
        **certainty.of_validation(network.half().float().eval(), data, recipe.post_processing),  # as it is written
        about={"dataset": recipe.dataset, "record": record.name, "size": recipe.image_size, "test": pooled}
        | {"unit": source.scale},
    )
    out.with_suffix(".md").write_text(card(out.stem, load_bundle(out), record, trained, table, row), encoding="utf-8")
    return out


def card(name: str, bundle: Bundle, record: Record, trained: Record, table: Table, row: Row) -> str:
    """Return the card of a network: of its file, and of the records of its scores and of its training."""
    return CARD.format(
        **{"name": name, "bundle": bundle, "record": record, "trained": trained, "table": table, "row": row},
        bands=", ".join(bundle.bands),
        start=f" Its encoder started from weights of {trained.start['source']}." if trained.start else "",
        scores=", ".join(f"{key} {value}" for key, value in bundle.about["test"].items()),
        bounds=", ".join(f"{share} above {least:.4g}" for share, least in bundle.bounds.items())
        or "1 (too few images)",
    )

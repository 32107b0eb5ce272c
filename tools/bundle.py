"""Write the trained network of a row as one file with its card: python tools/bundle.py raunet/search turns NAME.

The row's seed has to be trained here, as a published record has no weights. NAME.safetensors and NAME.md are written to
data/models.
"""

import argparse

from landslide_lib.data.registry import get_dataset
from landslide_lib.paths import TRAINED
from landslide_lib.study import domains, reports, runs
from landslide_lib.study.tasks.run import weights_of
from landslide_lib.study.tasks.segmentation import data_of, model_of
from landslide_lib.training.bundle import load_bundle, save_bundle

CARD = """# {name}

A network that says of each pixel of an image whether it is landslide.

- **Network**: {network}, {parameters:,} parameters, in half precision; `landslide_lib.training.bundle` reads it.
- **Learnt on**: {images} images of `{dataset}`, {size} px, bands {bands}. {start}
- **Record**: `data/results/{record}.json`, table `{table}`, row `{row}`, seed {seed}; commit {commit}.
- **Scores** on {test} test images, landslide class over all pixels: {scores}. The threshold was chosen on validation
  images. Other seeds of the row: see the table.
- **Intended use**: images like those of the data, in study and teaching. It has seen one region and one sensor;
  elsewhere it has to be scored before it is believed. It is no warning system.
- **Licence**: that of this repository for the file. The images are their publisher's and are not in it.
"""


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    for word in ("table", "row", "name"):
        parser.add_argument(word)
    parser.add_argument("--dataset", default="bijie")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    table = reports.table(wanted.table)
    recipe = reports.resolve(table, table.row(wanted.row), dataset=wanted.dataset, profile_name=wanted.profile)
    if recipe.head != "mono":
        raise SystemExit(f"{wanted.table}, row {wanted.row}: its head is {recipe.head}, and a bundle takes mono")
    store = runs.open_store()
    packed = domains.load(recipe)
    found = [store.find(one, wanted.seed, packed.fingerprint) for one in (recipe, recipe.trained)]
    if not all(found):
        raise SystemExit(f"{wanted.table}, row {wanted.row}: seed {wanted.seed} is not trained here; train it first")
    (record,), (trained,) = found
    data = data_of(recipe, packed)
    network = model_of(recipe.trained, len(data.bands))
    network.load_state_dict(weights_of(trained, store.weights(trained), packed.fingerprint))
    build = {"model": recipe.model, "in_channels": len(data.bands), "width": recipe.width}
    tuned = record.test_tuned
    pooled = {key: round(value, 4) for key, value in tuned.metrics["pooled"].items()}
    path = save_bundle(
        TRAINED / f"{wanted.name}.safetensors",
        network,
        build,
        bands=data.bands,
        shift=data.shift,
        scale=data.scale,
        threshold=tuned.threshold,
        post_processing=[step.model_dump() for step in recipe.post_processing],
        about={"dataset": recipe.dataset, "record": record.name, "size": recipe.image_size, "test": pooled}
        | {"unit": get_dataset(recipe.dataset).scale},
    )
    load_bundle(path)
    card = CARD.format(
        name=wanted.name,
        network=recipe.model,
        parameters=trained.parameters,
        images=trained.images["train"],
        dataset=recipe.dataset,
        size=recipe.image_size,
        bands=", ".join(data.bands),
        start=f"Its encoder started from weights of {trained.start['source']}." if trained.start else "",
        record=record.name,
        table=table.name,
        row=wanted.row,
        seed=wanted.seed,
        commit=trained.commit[:10],
        test=record.images["test"],
        scores=", ".join(f"{key} {value}" for key, value in pooled.items()) + f" at threshold {tuned.threshold}",
    )
    path.with_suffix(".md").write_text(card, encoding="utf-8")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()

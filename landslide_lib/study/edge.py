"""What small networks cost on one CPU core: published, as a table, as a figure. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from landslide_lib.paths import PUBLISHED, write_once
from landslide_lib.study import machine
from landslide_lib.study.plots import COLOURS, Picture
from landslide_lib.study.records import RecordError
from landslide_lib.study.render import plain

FOLDER = PUBLISHED / "edge"
HEADINGS = {"onnxruntime": "onnxruntime, ms", "torch": "PyTorch, ms"}


def file_of(table: str, profile: str, folder: Path = FOLDER) -> Path:
    """Return the published file of a table.

    >>> file_of("raunet/small-models", "full").name
    'raunet-small-models-full.json'
    """
    return folder / f"{table.replace('/', '-')}-{profile}.json"


def check_publishable(table: str, profile: str, folder: Path = FOLDER) -> None:
    """Refuse what may not be published; best asked before anything is measured.

    Raises:
        RecordError: The profile is smoke, the tree is dirty, or the table is published.
    """
    path, why = file_of(table, profile, folder), None
    if profile == "smoke":
        why = "it is of the smoke profile, which is for tests"
    elif machine.commit()[1]:
        why = "the tree had uncommitted changes; commit them and run it again"
    elif path.exists():
        why = f"{path} is there; remove it to measure anew"
    if why:
        raise RecordError(f"{path.stem} is not published: {why}")


def publish(table: str, profile: str, dataset: str, rows: Sequence[Mapping[str, Any]], folder: Path = FOLDER) -> Path:
    """Write the measurements of a table to the published results.

    Args:
        table: Such as `raunet/small-models`.
        profile: The budget.
        dataset: Whose bands the networks take.
        rows: Of `export.measure`, each with `row` and `label` of the table.
        folder: Where to.

    Returns:
        The file.

    Raises:
        RecordError: See `check_publishable`.
    """
    check_publishable(table, profile, folder)
    facts = {"table": table, "profile": profile, "dataset": dataset, "rows": list(rows)}
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    return write_once(file_of(table, profile, folder), text + "\n")


def published(table: str, profile: str = "full", folder: Path = FOLDER) -> dict[str, Any] | None:
    """Return what is published of a table: `table`, `profile`, `dataset` and `rows`, or None."""
    path = file_of(table, profile, folder)
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return facts


def table(name: str, profile: str = "full", folder: Path = FOLDER) -> str:
    """Return the measurements of a table as HTML: size, latency, difference from PyTorch.

    Args:
        name: Of the table.
        profile: The budget.
        folder: Of the published measurements.
    """
    facts, anchor = published(name, profile, folder), file_of(name, profile).stem + "-edge"
    if facts is None:
        return "<p>Not measured yet.</p>"
    rows, first = facts["rows"], facts["rows"][0]
    lines = [
        {
            "model": row["label"],
            "parameters": f"{row['parameters'] / 1e6:.2f} M",
            "file, MB": f"{row['megabytes']:.1f}",
            **{text: f"{row['milliseconds'][key]:.1f}" for key, text in HEADINGS.items()},
            "largest difference, 10⁻⁶": f"{1e6 * row['difference']:.2f}",
        }
        for row in rows
    ]
    trained = sum(row["trained"] for row in rows)
    weights = {len(rows): "trained", 0: "not trained"}.get(trained, "some trained, some not")
    versions = ", ".join(f"{key} {first['versions'][key]}" for key in ("onnxruntime", "torch"))
    return plain(
        pd.DataFrame(lines),
        name=anchor,
        caption=f"ONNX files of {facts['dataset']} networks ({first['bands']} bands, "
        f"{first['size']} px, width {first['width']}, weights {weights}). Median time of one "
        f"image over {first['repeats']}, on one core of {first['processor']}, "
        f"{first['made'][:10]}, commit {first['commit'][:7]}; {versions}. The difference is that "
        "of a probability between the two.",
    )


def picture(facts: Mapping[str, Any], scores: Mapping[str, float], *, score: str) -> Picture:
    """Draw a score over the latency of onnxruntime, a point a model.

    Args:
        facts: Of `published`.
        scores: By row of the table, in 0..1; a row without one is left out.
        score: Its name, for the axis.
    """
    data = pd.DataFrame(
        [
            {
                "row": row["row"],
                "model": row["label"],
                "score": scores[row["row"]],
                "milliseconds": row["milliseconds"]["onnxruntime"],
                "megabytes": row["megabytes"],
            }
            for row in facts["rows"]
            if row["row"] in scores
        ],
        columns=["row", "model", "score", "milliseconds", "megabytes"],
    )
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for number, (label, time, value) in enumerate(zip(data["model"], data["milliseconds"], data["score"], strict=True)):
        axes.plot(time, value, "osD^vP"[number % 6], ms=9, label=label, color=COLOURS[number % len(COLOURS)])
    axes.set(xlabel="milliseconds an image, one core, onnxruntime", ylabel=score, xlim=(0, None))
    figure.legend(loc="outside right center", frameon=False)
    return Picture(
        figure,
        name="edge-latency",
        data=data,
        alt=f"{score} over the milliseconds that an image takes on one core, a point a model.",
    )

"""What is measured of the tables, and where it is published for who has no files. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landslide_lib.data.tabular import catalogue, files, susceptibility
from landslide_lib.paths import PUBLISHED, write_once
from landslide_lib.training.tabular import boosting, certainty

FOLDER = PUBLISHED / "tabular"
FOLDS = 5
#: How often labels are permuted.
REPEATS = 8


def of_susceptibility(root: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure the samples of susceptibility: half a minute of one core.

    Returns:
        `rows`, `positives`, `twins`, `blocks`; `levels` (of `certainty.levels`, with the `area` of
        each class and `shap`, what its samples were given out of fold, in log odds); `shap` (by
        factor the mean of its absolute value); `balance`, `negatives` and `made_of` of
        `certainty`; `scores` (a line a choice of columns and of folds) and `encodings`: a line an
        encoding and model, with `labels` true or permuted. Means over folds, or over folds and
        permutations; `auc_std` of permuted ones is over the permutations.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It is not as it should be.
    """
    frame = susceptibility.load(root)
    factors, truth = frame[list(susceptibility.FACTORS)], frame["target"].to_numpy()
    place, groups = frame[["lon", "lat"]], susceptibility.blocks(frame)
    table = certainty.levels(factors, truth)
    cuts = {"random": boosting.folds(truth, FOLDS, seed), "blocks": boosting.folds(truth, FOLDS, seed, groups)}
    columns = {"factors": factors, "closed": certainty.closed(factors, table), "place": place}
    scores = []
    for name, some in columns.items():
        for how, cut in cuts.items():
            found = boosting.out_of_fold(some, truth, cut, seed)
            each = boosting.fold_scores(truth, found.probabilities, found.fold)
            scores.append({"columns": name, "folds_by": how, **boosting.summary(each)})
            if (name, how) == ("factors", "random"):
                given = boosting.contributions(some, cut, found.boosters)
    means = [given[name].groupby(factors[name].to_numpy()).mean().to_numpy() for name in factors]
    lines = table.assign(area=certainty.areas(table), shap=np.concatenate(means))
    return {
        "rows": len(frame),
        "positives": int(truth.sum()),
        "twins": susceptibility.twins(frame),
        "blocks": len(set(groups)),
        "levels": _lines(lines),
        "shap": {str(name): round(float(value), 4) for name, value in given.abs().mean().items()},
        "balance": _lines(certainty.balance(table)),
        "negatives": _lines(certainty.negatives(table)),
        "made_of": certainty.made_of(factors, truth, seed=seed),
        "scores": scores,
        "encodings": _encodings(factors, truth, cuts["random"], seed),
    }


def _encodings(factors: pd.DataFrame, truth: Any, cut: list[boosting.Split], seed: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    true = certainty.compare(factors, truth, cut, seed=seed)
    lines += [
        {"labels": "true", "encoding": name, "model": model, **boosting.summary(each)}
        for name, models in true.items()
        for model, each in models.items()
    ]
    draw, found = np.random.default_rng(seed), []
    for number in range(REPEATS):
        noise = draw.permutation(truth)
        splits = boosting.folds(noise, FOLDS, number)
        found.append(certainty.compare(factors, noise, splits, seed=number))
    for name, models in found[0].items():
        for model in models:
            means = np.array([one[name][model].mean(0) for one in found])
            lines.append(
                {
                    "labels": "permuted",
                    "encoding": name,
                    "model": model,
                    **boosting.summary(means),
                    "folds": FOLDS,
                    "repeats": REPEATS,
                }
            )
    return lines


def of_catalogue(root: Path | None = None) -> dict[str, Any]:
    """Count NASA's catalogue: see `catalogue.describe`.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It is not as it should be.
    """
    return catalogue.describe(catalogue.load(root))


#: What is published of which file.
MEASURED: dict[str, tuple[str, Callable[[Path | None], dict[str, Any]]]] = {
    "susceptibility": (susceptibility.FILE, of_susceptibility),
    "catalogue": (catalogue.FILE, of_catalogue),
}


def measure(name: str, root: Path | None = None) -> dict[str, Any]:
    """Measure one of `MEASURED`: what its function returns, with `name` and `fingerprint`.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It is not as it should be.
    """
    file, how = MEASURED[name]
    return {"name": name, "fingerprint": files.fingerprint(files.find(file, root)), **how(root)}


def publish(facts: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write facts to the published ones, a file a name and data; one that is there stays.

    Args:
        facts: Of `measure`, or of `tiles.describe` with `name` and `fingerprint`.
        folder: Where to.
    """
    path = folder / f"{facts['name']}-{facts['fingerprint'][:8]}.json"
    made = datetime.now(UTC).isoformat(timespec="seconds")
    text = "{\n " + ",\n ".join(
        f"{json.dumps(key)}: {json.dumps(value)}" for key, value in {"made": made, **facts}.items()
    )
    return path if path.exists() else write_once(path, text + "\n}\n")


def published(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """Return what was published last under a name, with `made`, its time; None where nothing is."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob(f"{name}-*.json")]
    mine = [facts for facts in found if facts["name"] == name]
    return max(mine, key=lambda facts: str(facts["made"])) if mine else None


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return plain values, numbers to six digits."""
    return [
        {str(key): float(f"{value:.6g}") if isinstance(value, float) else value for key, value in line.items()}
        for line in frame.to_dict("records")
    ]

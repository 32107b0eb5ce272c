"""Classification: a network tells tiles with a landslide from those without one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.data.bands import RGB, cloud_score
from landslide_lib.data.features import measure
from landslide_lib.data.pack import Packed
from landslide_lib.data.prepare import Data
from landslide_lib.data.split import Indices
from landslide_lib.metrics.counts import Counter, confusion
from landslide_lib.models.fusion import Fusion
from landslide_lib.training.boosting import FittedFilter
from landslide_lib.training.segmentation import Loss, SegmentationTask, score
from landslide_lib.training.task import outcome

Floats = NDArray[np.float32]


def labelled(packed: Packed) -> Packed:
    """Return a dataset whose masks are one pixel an image: whether there is a landslide."""
    return replace(packed, masks=packed.positive[:, None, None].astype(np.uint8))


def tile_features(packed: Packed, indices: Indices) -> pd.DataFrame:
    """Return the hand-made features of some tiles, a line each."""
    return measure({band: packed.plane(band)[indices] for band in packed.bands})


class FilteredTiles:
    """The tiles of each part (see `labelled`), without the obvious negatives that a fitted filter leaves out.

    `parts` has of the training tiles those only that the filter keeps; `keep` says of the other parts which tiles it
    keeps, the rest is called no landslide. Raises ValueError: the training tiles are all of one kind.
    """

    def __init__(self, packed: Packed, parts: dict[str, Indices], fitted: FittedFilter | None) -> None:
        self.packed, self.fitted, self.parts = packed, fitted, dict(parts)
        train = parts["train"]
        if len({*packed.masks[train].ravel()}) < 2:
            problem = f"the {len(train)} tiles to train on are all of one kind"
            raise ValueError(f"{packed.name}: {problem}; take more of them (subset), or another fold")
        if fitted is not None:  # training tiles, which it has learnt from, are judged out of fold
            self.parts["train"] = train[fitted.keep]
        self.keep: dict[str, NDArray[np.bool_]] = {}
        for part in parts.keys() - {"train"}:
            self.set_tiles(part, parts[part])

    def set_tiles(self, part: str, tiles: Indices) -> None:
        self.parts[part], fitted = tiles, self.fitted
        self.keep[part] = (
            np.ones(len(tiles), bool) if fitted is None else fitted.keeps(tile_features(self.packed, tiles))
        )

    def summary(self) -> dict[str, Any] | None:
        """Return what the filter left out, part by part; None without a filter."""
        if self.fitted is None:
            return None
        parts = {}
        for part in ("valid", "test"):
            left_out = ~self.keep[part]
            landslide = self.packed.masks[self.parts[part], 0, 0] == 1
            parts[part] = {
                "tiles": len(left_out),
                "left_out": int(left_out.sum()),
                "landslides": int(landslide.sum()),
                "lost": int((left_out & landslide).sum()),
            }
        return {**self.fitted.cost, "threshold": self.fitted.threshold, "parts": parts}


class ClassificationTask(SegmentationTask):
    """A network of tiles, its loss and its data; a tile is an image whose mask is one pixel.

    With `balanced` an epoch draws as many tiles with a landslide as without. Predictions are the mean over `tta_views`
    flips and turns of a tile: 1, 2, 4 or 8.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        data: Data,
        filtered: FilteredTiles,
        *,
        balanced: bool,
        patience: int | None,
        patience_on: str = "loss",
        tta_views: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(network, loss, data, **options)
        self.filtered, self.tta_views = filtered, tta_views
        self.patience, self.patience_on = patience, patience_on
        if balanced:
            labels = data.packed.masks[data.parts["train"], 0, 0]
            if labels.all():
                raise ValueError(
                    f"sampling: the filter keeps no tile of {data.packed.name} without a landslide to draw"
                )
            self.sampling = np.asarray(0.5 / np.bincount(labels, minlength=2)[labels], np.float64)

    def validate(self, batch: Any, step: int) -> tuple[Tensor, Tensor]:
        tiles, labels = batch
        logits: Any = self(tiles)
        keep = torch.from_numpy(self.filtered.keep["valid"][step * self.batch :][: len(tiles)]).to(logits.device)
        called = (logits.float().sigmoid() > 0.5) & keep[:, None, None, None]
        return torch.as_tensor(self.loss(logits, labels)), confusion(called, labels == 1)

    @torch.no_grad()
    def predict(self, part: str) -> Floats:
        """Return the probability of a landslide on each tile of a part, (N,); 0 where the filter leaves it out."""
        self.eval()
        batches = []
        for tiles, _ in self.loader(part):
            views = [tiles, tiles.flip(2), tiles.flip(3), tiles.flip(2, 3)]
            views += [view.transpose(2, 3) for view in views]
            each: list[Any] = [self(view) for view in views[: self.tta_views]]
            mean = torch.stack([logits.float().sigmoid() for logits in each]).mean(0)
            batches.append(mean.flatten().cpu())
        probability: Floats = torch.cat(batches).numpy()
        return np.where(self.filtered.keep[part], probability, 0).astype(np.float32)

    @torch.no_grad()
    def gates(self, part: str) -> dict[str, Floats]:
        """Return the mean weight that the gate gives the features of each branch, by tile; empty without a gate."""
        network = self.network.eval()
        if not isinstance(network, Fusion) or network.gate is None:
            return {}
        batches = [network.weigh(network.features(tiles), tiles).float().cpu() for tiles, _ in self.loader(part)]
        weights, first = torch.cat(batches), network.widths["optical"]
        branches = {"optical": weights[:, :first], "radar": weights[:, first:]}
        return {name: of_branch.mean(1).numpy() for name, of_branch in branches.items() if of_branch.shape[1]}

    def evaluate(self) -> dict[str, Any]:
        return Members([self], [1.0]).evaluate()


class Members:
    """Trained networks of tiles, one or an ensemble, whose weighted mean is scored.

    Those of an ensemble leave another fold for validation each. With `thresholds`, one a network, the mean is of their
    votes: 1 above the threshold, else 0.
    """

    def __init__(
        self, tasks: Sequence[ClassificationTask], weights: Sequence[float], thresholds: Sequence[float] = ()
    ) -> None:
        self.tasks, self.weights, self.thresholds = tasks, list(weights), list(thresholds)

    def tiles(self, part: str) -> Indices:
        return np.unique(np.concatenate([task.filtered.parts[part] for task in self.tasks]))

    def stack(self, encoders: int) -> None:
        """Weigh some encoders, each with as many networks, by what these make of tiles that they did not learn from.

        The weights are at least 0, have the least squared error on the validation tiles of all folds, and are then
        divided by their sum (Breiman 1996, Stacked regressions, doi:10.1007/BF00117832).
        """
        from scipy.optimize import nnls

        each, labels = self.each("valid"), self.tasks[0].data.packed.masks[self.tiles("valid"), 0, 0]
        found, _ = nnls(np.nanmean(each.reshape(encoders, -1, len(labels)), 1).T, labels.astype(np.float64))
        share = found / found.sum() if found.any() else np.full(encoders, 1 / encoders)
        self.weights = np.repeat(share, len(self.tasks) // encoders).tolist()

    def each(self, part: str) -> NDArray[np.float64]:
        """Return what each network makes of each tile of a part, (networks, tiles); NaN where it may have learnt it."""
        tiles = self.tiles(part)
        each = np.full((len(self.tasks), len(tiles)), np.nan)
        for row, task in zip(each, self.tasks, strict=True):
            row[np.searchsorted(tiles, task.filtered.parts[part])] = task.predict(part)
        if self.thresholds:
            each = np.where(np.isnan(each), np.nan, each > np.array(self.thresholds)[:, None])
        return each

    def predict(self, part: str) -> tuple[Floats, Floats]:
        """Return the probability of each tile of a part, see `each`, and how far the networks lie apart."""
        each = self.each(part)
        share = np.where(np.isnan(each), 0, np.array(self.weights)[:, None])
        share /= share.sum(0)
        mean = (share * np.nan_to_num(each)).sum(0)
        apart = np.sqrt((share * np.nan_to_num(each - mean) ** 2).sum(0))
        return mean.astype(np.float32), apart.astype(np.float32)

    def count(self, part: str, *thresholds: float) -> Counter:
        probability, _ = self.predict(part)
        truth = torch.from_numpy(self.tasks[0].data.packed.masks[self.tiles(part)])[:, None]
        counter = Counter(*thresholds)
        counter.update(torch.from_numpy(probability)[:, None, None, None], truth)
        return counter

    def evaluate(self) -> dict[str, Any]:
        """Return the scores on tiles, and what is kept of each test tile."""
        result = score(self.count)
        for name in ("test", "test_tuned", "valid", "valid_tuned"):
            at = result[name]
            result[name] = outcome({"tiles": at["metrics"]["pooled"]}, at["threshold"])
        if self.thresholds:  # a majority of votes: there is nothing to choose
            result |= {"test_tuned": result["test"], "valid_tuned": result["valid"]}
        tiles, (probability, apart) = self.tiles("test"), self.predict("test")
        kept = {"probability": probability}
        if len(tiles) == len(self.tasks[0].filtered.parts["test"]):  # else it was not tested on all
            kept |= self.tasks[0].gates("test")
        if len(self.tasks) > 1:
            kept["apart"] = apart
        packed = self.tasks[0].data.packed
        if {*RGB} <= set(packed.bands):
            kept["brightness"] = cloud_score(*(packed.plane(band)[tiles] for band in RGB))
        return result | {
            "images": {part: len(self.tiles(part)) for part in ("train", "valid", "test")},
            "parameters": sum(p.numel() for task in self.tasks for p in task.network.parameters()),
            "tiles": {name: np.round(each.astype(np.float64), 4).tolist() for name, each in kept.items()},
            "filtered": self.tasks[0].filtered.summary(),
            "networks": {"weights": self.weights, "thresholds": self.thresholds} if len(self.tasks) > 1 else None,
        }

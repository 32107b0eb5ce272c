"""Classification: a network tells tiles with a landslide from those without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib import augment_tiles, negative_filter
from landslide_lib import recipe as recipes
from landslide_lib.bands import RGB, cloud_score
from landslide_lib.datasets.batches import Batches
from landslide_lib.datasets.pack import Packed
from landslide_lib.datasets.split import Indices, images_of
from landslide_lib.features import measure
from landslide_lib.metrics import Counter
from landslide_lib.models import weights
from landslide_lib.models.fusion import Fusion
from landslide_lib.models.tiles import TILES
from landslide_lib.recipe.encoders import ImageNet
from landslide_lib.records import Record
from landslide_lib.tasks import engine
from landslide_lib.tasks.learner import kept
from landslide_lib.tasks.segmentation import Segmentation, Segmented, fill

Shares = NDArray[np.float32]


def labelled(packed: Packed) -> Packed:
    """Return a dataset whose masks are one pixel an image: whether there is a landslide."""
    return replace(packed, masks=packed.positive[:, None, None].astype(np.uint8))


def table(packed: Packed, indices: Indices) -> pd.DataFrame:
    """Return the hand-made features of some tiles, a line each."""
    return measure({band: packed.plane(band)[indices] for band in packed.bands})


def beside(weights: Path) -> Path:
    """Return the file of the filter that goes with the weights of a network."""
    return weights.with_suffix(".filter.json")


class Classification(Segmentation):
    """A network of tiles, its loss and its batches; a tile is an image whose mask is one pixel.

    Args:
        recipe: What to train.
        packed: On what.
        seed: See `Learner`; the filter has that of the split.
        on: The device.
        learnt: The filter that has learnt on these training tiles; None fits it, if the recipe
            has one.

    Attributes:
        filter: What leaves out obvious negatives; None where the recipe has none. It has learnt on
            the training tiles, of which those that it leaves out are not trained on.
        unfiltered: Which tiles of each part are left; the others are called no landslide.
    """

    recipe: recipes.Classification

    def __init__(
        self,
        recipe: recipes.Classification,
        packed: Packed,
        seed: int,
        on: torch.device,
        learnt: negative_filter.Filter | None = None,
    ) -> None:
        self.filter = learnt
        super().__init__(recipe, labelled(packed), seed, on)

    def parted(self) -> dict[str, Indices]:
        """Return the tiles of each part; those to train on without what the filter leaves out."""
        found = super().parted()
        self.unfiltered = {part: np.ones(len(indices), bool) for part, indices in found.items()}
        if len({*self.packed.masks[found["train"]].ravel()}) < 2:
            raise ValueError(
                f"{self.packed.name}: the {len(found['train'])} tiles to train on are all of one "
                "kind; take more of them (subset), or another fold"
            )
        if self.recipe.filter is not None:
            train = found["train"]
            self.filter = self.filter or negative_filter.fit(
                table(self.packed, train), self.packed.masks[train, 0, 0],
                folds=self.recipe.filter.folds, seed=self.recipe.split.seed,
                groups=[self.packed.groups[i] for i in train],
            )  # fmt: skip
            for part in ("valid", "test"):
                self.unfiltered[part] = self.filter.keeps(table(self.packed, found[part]))
            # Those it has learnt from are judged out of fold.
            self.unfiltered["train"] = self.filter.kept
            found["train"] = train[self.filter.kept]
        return found

    def built(self) -> nn.Module:
        """Build the network, with random weights."""
        made: nn.Module = TILES[self.recipe.model](self.recipe)
        return made

    def batches(self, part: str) -> Batches:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        training, indices = part == "train", self.parts[part]
        chances = None
        if training and self.recipe.sampling == "balanced":
            labels = self.packed.masks[indices, 0, 0]
            chances = 0.5 / np.bincount(labels, minlength=2)[labels]
        return Batches(
            self.packed, indices, self.recipe.batch, self.means, shift=self.shift,
            bands=self.recipe.seen, device=self.on, chances=chances,
            seed=self.seed if training else None,
            augment=augment_tiles.compose(self.recipe.augmentation) if training else None,
            **(self.shares if training else {}),
        )  # fmt: skip

    def on_train_epoch_start(self) -> None:
        """Seed what dropout draws by the epoch: a resumed run repeats it."""
        super().on_train_epoch_start()
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)

    def validation_step(self, batch: tuple[Tensor, Tensor], step: int) -> None:
        """Count a batch; what the filter leaves out is called no landslide."""
        images, labels = batch
        logits = self(images)
        self._valid.append(torch.as_tensor(self.loss(logits, labels)))
        first = step * self.recipe.batch
        stays = torch.from_numpy(self.unfiltered["valid"][first : first + len(images)])
        said = logits.float().sigmoid() * stays.to(logits.device)[:, None, None, None]
        self._counter.update(said, labels)

    def on_validation_epoch_end(self) -> None:
        """End the training where the validation loss has not fallen for as long as is allowed."""
        super().on_validation_epoch_end()
        losses, patience = [line["valid_loss"] for line in self.history], self.recipe.patience
        if patience is not None and len(losses) - 1 - int(np.argmin(losses)) >= patience:
            self.trainer.should_stop = True

    @torch.no_grad()
    def probabilities(self, part: str) -> Shares:
        """Return the probability of a landslide on each tile of a part, (N,).

        A tile that the filter leaves out has 0. With `turns` it is the mean over the flips of a
        tile, at 8 over those of a tile that was turned by a quarter, too.
        """
        self.network.eval()
        found = []
        for images, _ in self.batches(part):
            views = [images, images.flip(2), images.flip(3), images.flip(2, 3)]
            views += [view.transpose(2, 3) for view in views]
            each = [self(view).float().sigmoid() for view in views[: self.recipe.turns]]
            found.append(torch.stack(each).mean(0).flatten().cpu())
        said: Shares = torch.cat(found).numpy()
        return np.where(self.unfiltered[part], said, 0).astype(np.float32)

    def work_on(self, tiles: Indices) -> None:
        """Take some tiles for the test part."""
        self.parts["test"], self.unfiltered["test"] = tiles, np.ones(len(tiles), bool)
        if self.filter is not None:
            self.unfiltered["test"] = self.filter.keeps(table(self.packed, tiles))

    @torch.no_grad()
    def gates(self, part: str) -> dict[str, Shares]:
        """Return the mean weight that the gate gives the features of each branch, by tile.

        Empty where there is no gate.
        """
        network = self.network.eval()
        if not isinstance(network, Fusion) or network.gate is None:
            return {}
        found = []
        for images, _ in self.batches(part):
            found.append(network.weigh(network.features(images), images).float().cpu())
        weights, first = torch.cat(found), network.widths["optical"]
        both = {"optical": weights[:, :first], "radar": weights[:, first:]}
        return {name: some.mean(1).numpy() for name, some in both.items() if some.shape[1]}


@dataclass
class Classified(Segmented):
    """Trained networks, one or an ensemble; of an ensemble `module` is the first.

    Attributes:
        networks: Each with its parts; those of an ensemble leave another fold for validation each.
        weights: Of the networks in the mean.
    """

    module: Classification
    networks: Sequence[Classification]
    weights: Sequence[float]

    def keep(self, path: Path) -> None:
        """Write the weights, and beside them the filter."""
        if self.module.filter is not None:
            self.module.filter.save(beside(path))
        super().keep(path)

    def told(self, part: str) -> tuple[Indices, Shares, Shares]:
        """Return the tiles of a part, their probability, and how far the networks lie apart.

        To the validation tiles of each fold speak only networks that have not trained on them.
        """
        tiles = np.unique(np.concatenate([one.parts[part] for one in self.networks]))
        each = np.full((len(self.networks), len(tiles)), np.nan)
        for row, one in zip(each, self.networks, strict=True):
            row[np.searchsorted(tiles, one.parts[part])] = one.probabilities(part)
        share = np.where(np.isnan(each), 0, np.array(self.weights)[:, None])
        share /= share.sum(0)
        mean = (share * np.nan_to_num(each)).sum(0)
        apart = np.sqrt((share * np.nan_to_num(each - mean) ** 2).sum(0))
        return tiles, mean.astype(np.float32), apart.astype(np.float32)

    def count(self, part: str, *thresholds: float) -> Counter:
        """Count the predictions on a part, at thresholds and by histogram."""
        tiles, said, _ = self.told(part)
        counter = Counter(*thresholds)
        truth = torch.from_numpy(self.module.packed.masks[tiles])[:, None]
        counter.update(torch.from_numpy(said)[:, None, None, None], truth)
        return counter

    def evaluated(self) -> dict[str, Any]:
        """Return what a record says of the scores on tiles."""
        found = super().evaluated()
        for name in ("test", "test_tuned", "valid", "valid_tuned"):
            whole = found[name]
            found[name] = whole.model_copy(update={"metrics": {"tiles": whole.metrics["pooled"]}})
        return found | {
            "images": {part: len(np.unique(np.concatenate([one.parts[part]
                                                           for one in self.networks])))
                       for part in ("train", "valid", "test")},
            "parameters": sum(p.numel() for one in self.networks for p in one.network.parameters()),
            "start": self.module.start,
            "tiles": self._tiles(),
            "filtered": self._filtered(),
        }  # fmt: skip

    def _tiles(self) -> dict[str, list[float]]:
        """Return what is kept of each test tile."""
        tiles, said, apart = self.told("test")
        found = {"probability": said, **self.module.gates("test")}
        if len(self.networks) > 1:
            found["apart"] = apart
        packed = self.module.packed
        if {*RGB} <= set(packed.bands):
            visible = (packed.plane(band)[tiles] for band in RGB)
            found["brightness"] = cloud_score(*visible)
        return {name: np.round(values.astype(np.float64), 4).tolist()
                for name, values in found.items()}  # fmt: skip

    def _filtered(self) -> dict[str, Any] | None:
        """Return what the filter of the first network left out, part by part."""
        module = self.module
        if module.filter is None:
            return None
        parts = {}
        for part in ("valid", "test"):
            out = ~module.unfiltered[part]
            landslide = module.packed.masks[module.parts[part], 0, 0] == 1
            parts[part] = {
                "tiles": len(out), "left_out": int(out.sum()),
                "landslides": int(landslide.sum()), "lost": int((out & landslide).sum()),
            }  # fmt: skip
        cost, threshold = asdict(module.filter.cost), module.filter.threshold
        return {**cost, "threshold": threshold, "parts": parts}


def train(
    recipe: recipes.Classification,
    packed: Packed,
    seed: int,
    work: Path,
    on: torch.device,
    grown: Sequence[tuple[Record, Path]] = (),
    data_root: Path | None = None,
) -> Classified:
    """Train a network from its last checkpoint, or from its start.

    Args:
        recipe: What to train.
        packed: The dataset at the recipe's image size.
        seed: See `Learner`; the filter has that of the split.
        work: The folder of this run's checkpoints.
        on: The device.
        grown: Nothing: a network of tiles grows from none.
        data_root: In place of `LANDSLIDE_DATA`, for weights of others.

    Returns:
        The run. The weights are those of the last epoch: none is picked by its score.

    Raises:
        ValueError: The training tiles are all of one kind, or the filter cannot learn on them.
        WeightsNotFoundError: The weights that the recipe starts from are not here.
        FloatingPointError: The loss has become NaN or infinite.
    """
    module = Classification(recipe, packed, seed, on)
    if recipe.start is not None and isinstance(module.network, Fusion) and module.network.encoder:
        how = ImageNet(name="imagenet")
        module.start = weights.begin(module.network.encoder, how, data_root=data_root)
    resumed = engine.fit(module, recipe, seed, work, on)
    module.to(on)
    return Classified(module, resumed, [module], [1.0])


def restored(
    record: Record, packed: Packed, seed: int, path: Path, on: torch.device, **change: Any
) -> Classification:
    """Return the trained network of a record, its recipe changed where it needs no training for it.

    Raises:
        ValueError: The weights are those of another run, or damaged; the message names the file.
    """
    recipe = record.recipe
    assert isinstance(recipe, recipes.Classification)
    found = kept(path, recipe, seed, packed.fingerprint)
    learnt = None
    if recipe.filter is not None:
        try:
            learnt = negative_filter.load(beside(path))
        except ValueError as error:
            remedy = f"or move {path} away: the network is trained again, with its filter"
            raise ValueError(f"{error}, {remedy}") from error
    module = Classification(recipe, packed, seed, on, learnt)
    fill(module, found, path)
    module.recipe = recipe.model_copy(update=change)
    return module


def restore(
    recipe: recipes.Classification,
    packed: Packed,
    seed: int,
    grown: Sequence[tuple[Record, Path]],
    on: torch.device,
) -> Classified:
    """Return the ensemble, or the network with turned predictions, that a recipe names.

    Args:
        recipe: Of an ensemble, or with `turns`.
        packed: The dataset at the recipe's image size.
        seed: Of the members.
        grown: The records of the members and the files of their weights.
        on: The device.

    Raises:
        ValueError: See `restored`.
    """
    members = [restored(record, packed, seed, path, on, turns=recipe.turns)
               for record, path in grown]  # fmt: skip
    shares = [one.weight for one in recipe.weighted for _ in range(recipe.members)] or [1.0]
    return Classified(members[0], False, members, shares)


def labels(
    recipe: recipes.Classification,
    packed: Packed,
    seed: int,
    grown: Sequence[tuple[Record, Path]],
    on: torch.device,
    part: str,
    threshold: float,
) -> dict[str, int]:
    """Return what trained networks call each tile of a part, with labels or without.

    Args:
        recipe: Whose networks they are.
        packed: The dataset at the recipe's image size.
        seed: Of the training.
        grown: The records of the networks and the files of their weights.
        on: The device.
        part: Of the dataset, such as `test`.
        threshold: Above which a tile is a landslide.

    Returns:
        By the id of a tile 1 or 0.

    Raises:
        ValueError: There is no such part; or see `restored`.
    """
    where = images_of(packed, part)
    made = restore(recipe, packed, seed, grown, on)
    for one in made.networks:
        one.work_on(where)
    tiles, said, _ = made.told("test")
    return {packed.ids[i]: int(p > threshold) for i, p in zip(tiles, said, strict=True)}

"""Adaptation: a segmentation network learns on a source and is evaluated on a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from landslide_lib import augment, submission
from landslide_lib import recipe as recipes
from landslide_lib.datasets.batches import Batches
from landslide_lib.datasets.domains import parts
from landslide_lib.datasets.pack import Packed
from landslide_lib.datasets.scales import moments
from landslide_lib.datasets.split import Indices, images_of
from landslide_lib.metrics import Counter
from landslide_lib.models.adapted import NETWORKS
from landslide_lib.models.cross_sensor import Domain, cross_sensor, of_domain
from landslide_lib.models.prior import begin_with
from landslide_lib.models.promoted import Promoted
from landslide_lib.records import Record
from landslide_lib.tasks import engine
from landslide_lib.tasks.learner import kept
from landslide_lib.tasks.pseudo_labels import OPEN, labels_of, mean_probability, quality
from landslide_lib.tasks.segmentation import Segmentation, Segmented, fill

Labels = NDArray[np.uint8]
#: Which domain the images of a part are of.
DOMAIN: dict[str, Domain] = {"train": "source", "valid": "source", "test": "target"}


def network_of(recipe: recipes.Adaptation) -> nn.Module:
    """Build the network that a recipe names, with random weights; see `begin_with`, too.

    Shape:
        (B, bands, S, S) to logits (B, 1, S, S), S the recipe's image size.
    """
    enlarged = round(recipe.scale * recipe.image_size)
    made = NETWORKS[recipe.model](recipe.channels, recipe.size, enlarged)
    if recipe.norms == "cross_sensor":
        made = cross_sensor(made)
    return Promoted(made, recipe.scale)


class Both:
    """Batches of the source, each beside one of the target.

    Args:
        source: Shuffled; an epoch is one pass over it.
        target: Shuffled; begun anew, in another order, where it ends before the source does.
    """

    def __init__(self, source: Batches, target: Batches) -> None:
        self.source, self.target = source, target
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Decide the order and the augmentation of the next pass."""
        self.epoch = epoch
        self.source.set_epoch(epoch)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        return zip(self.source, self._target(), strict=False)

    def _target(self) -> Iterator[Any]:
        passes = -(-len(self) // len(self.target))
        for one in range(passes):
            self.target.set_epoch(self.epoch * passes + one)
            yield from self.target


class Adaptation(Segmentation):
    """A network and the batches of its two domains; see `Segmentation`.

    Args:
        recipe: What to train.
        packed: The source, with its target.
        seed: See `Learner`.
        on: The device.
        labels: (M, S, S) of 0, 1 and `OPEN`, pseudo-labels of the target's images in the order of
            `parts["test"]`; None where the target is not trained on.
    """

    recipe: recipes.Adaptation

    def __init__(
        self,
        recipe: recipes.Adaptation,
        packed: Packed,
        seed: int,
        on: torch.device,
        labels: Labels | None = None,
    ) -> None:
        super().__init__(recipe, packed, seed, on)
        self.labels = labels

    def parted(self) -> dict[str, Indices]:
        """Return the images of the source to train and to validate on, and the target's."""
        return parts(self.packed, self.recipe)

    def divisors(self) -> Tensor:
        """Return the standard deviations of the source's bands; `scales` has the rest."""
        self.scales = {"source": moments(self.packed, self.parts["train"], self.recipe.bands)}
        self.scales["target"] = self.scales["source"]
        self.work_on(self.parts["test"])
        return self.scales["source"][1]

    def work_on(self, images: Indices) -> None:
        """Take some images of the target for it, and their statistics where these are its own."""
        self.parts["test"] = images
        if self.recipe.normalization == "separated":
            self.scales["target"] = moments(self.target, images, self.recipe.bands)

    def built(self) -> nn.Module:
        """Build the network; it begins with the share of landslide in training."""
        made = network_of(self.recipe)
        masks = self.packed.masks[self.parts["train"]]
        # Masks that are all of one kind teach nothing, from any beginning.
        begin_with(made, float(np.clip(masks.mean(), 1 / masks.size, 1 - 1 / masks.size)))
        return made

    @property
    def target(self) -> Packed:
        """The target's images."""
        assert self.packed.target is not None
        return self.packed.target

    def batches(self, part: str) -> Any:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        if part != "train":
            return self._of(part)
        source = self._of("train", training=True)
        if self.labels is None and self.recipe.norms == "batch":
            return source
        return Both(source, self._of("test", training=True))

    def _of(self, part: str, training: bool = False) -> Batches:
        recipe, indices = self.recipe, self.parts[part]
        packed = self.packed if DOMAIN[part] == "source" else self.target
        if training and DOMAIN[part] == "target":
            # The target's own masks never come near a training step.
            hidden = np.full_like(packed.masks, OPEN)
            if self.labels is not None:
                hidden[indices] = self.labels
            packed = replace(packed, masks=hidden, folder=None)
        mean, spread = self.scales[DOMAIN[part]]
        how = augment.compose(recipe.augmentation, recipe.bands or packed.bands)
        return Batches(
            packed, indices, recipe.batch, spread, shift=mean, bands=recipe.bands, device=self.on,
            seed=self.seed if training else None, augment=how if training else None,
            **(self.shares if training else {}),
        )  # fmt: skip

    def forward(self, images: Tensor, domain: Domain = "source") -> Tensor:
        """Return logits of images of one domain, (B, 1, S, S)."""
        with of_domain(self.network, domain):
            made: Tensor = self.network(images)
        return made

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Return the loss of a batch of the source, and of one of the target if it is labelled."""
        loss = self._loss(*batch) if isinstance(batch[0], Tensor) else self._of_both(*batch)
        self._losses.append(loss.detach())
        return loss

    def _loss(self, images: Tensor, masks: Tensor) -> Tensor:
        return torch.as_tensor(self.loss(self(images), masks))

    def _of_both(self, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
        if self.labels is None:  # cross-sensor norms see the target, and nothing is learnt of it
            with torch.no_grad():
                self(target[0], "target")
            return self._loss(*source)
        if self.recipe.norms == "cross_sensor":
            both = [self(source[0]), self(target[0], "target")]
        else:
            both = [self(torch.cat([source[0], target[0]]))]
        masks = torch.cat([source[1], target[1]])
        sure = masks != OPEN
        # As one row of pixels: no term of a round measures distances in a mask.
        logits = torch.cat(both)[sure].view(1, 1, 1, -1)
        return torch.as_tensor(self.loss(logits, masks[sure].view(1, 1, 1, -1)))


@dataclass
class Adapted(Segmented):
    """Trained networks, one or an ensemble, with the batches of the first."""

    module: Adaptation
    networks: Sequence[nn.Module]

    def count(self, part: str, *thresholds: float) -> Counter:
        """Count the mean prediction on a part, at thresholds and by histogram."""
        counter = Counter(*thresholds)
        for images, masks in self.module.batches(part):
            counter.update(mean_probability(self.networks, images, DOMAIN[part]), masks)
        return counter

    def evaluated(self) -> dict[str, Any]:
        """Return what a record says of the scores on the target.

        The threshold is chosen on validation images of the source: the target has no labels.
        """
        where, target = self.module.parts["test"], self.module.target
        labels = self.module.labels
        return {
            **super().evaluated(),
            "test_ids": [target.ids[i] for i in where],
            "test_groups": [target.groups[i] for i in where],
            "parameters": sum(p.numel() for one in self.networks for p in one.parameters()),
            "pseudo_labels": None if labels is None else quality(labels, target.masks[where]),
        }


def train(
    recipe: recipes.Adaptation,
    packed: Packed,
    seed: int,
    work: Path,
    on: torch.device,
    grown: Sequence[tuple[Record, Path]] = (),
    *_: Any,
) -> Adapted:
    """Train a network from its last checkpoint, or from the start.

    Args:
        recipe: What to train.
        packed: The source with its target, from `domains.load`.
        seed: See `Learner`.
        work: The folder of this run's checkpoints.
        on: The device.
        grown: Records and weights of the round before, which label the target.

    Returns:
        The run. The weights are those of the last epoch: none is picked by its score.

    Raises:
        ValueError: The round before is sure of no landslide, so that there is nothing to learn.
        FloatingPointError: The loss has become NaN or infinite.
    """
    labels = None
    if grown:
        teachers = [restored(record, packed, seed, path, on) for record, path in grown]
        # Teachers normalise alike: the batches of the first are those of all.
        labels = labels_of(
            [one.network for one in teachers], teachers[0].batches("test"), recipe.confidence
        )
        if not (labels == 1).any():
            raise ValueError(
                f"rounds: a round {len(recipe.rounds)} would learn from no landslide: no pixel of "
                f"the target has a probability of {recipe.confidence:g} in the mean of "
                f"{', '.join(record.name for record, _ in grown)}. Train these longer, or take a "
                "lower confidence"
            )
    module = Adaptation(recipe, packed, seed, on, labels)
    resumed = engine.fit(module, recipe, seed, work, on)
    module.to(on)
    return Adapted(module, resumed, [module.network])


def restored(
    record: Record, packed: Packed, seed: int, weights: Path, on: torch.device
) -> Adaptation:
    """Return the trained network of a record.

    Raises:
        ValueError: The weights are those of another run, or damaged; the message names the file.
    """
    recipe = record.recipe
    assert isinstance(recipe, recipes.Adaptation)
    found = kept(weights, recipe, seed, packed.fingerprint)
    module = Adaptation(recipe, packed, seed, on)
    fill(module, found, weights)
    return module


@torch.no_grad()
def masks(
    packed: Packed,
    seed: int,
    grown: Sequence[tuple[Record, Path]],
    on: torch.device,
    part: str,
    threshold: float,
) -> dict[int, Labels]:
    """Return what trained networks call landslide on a part of Landslide4Sense.

    Args:
        packed: From `domains.load`; its target is Landslide4Sense.
        seed: Of the training.
        grown: The records of the networks and the files of their weights.
        on: The device.
        part: `train`, `valid` or `test`, with masks or without; where normalization is separated
            its statistics are those of this part.
        threshold: Above which a pixel is landslide.

    Returns:
        By the number of a patch, (128, 128) uint8 in {0, 1}. Probabilities of smaller images are
        enlarged bilinearly.

    Raises:
        ValueError: There is no such part; or see `restored`.
    """
    members = [restored(record, packed, seed, path, on) for record, path in grown]
    module = members[0]
    where = images_of(module.target, part)
    module.work_on(where)
    networks = [one.network for one in members]
    found = []
    for images, _ in module.batches("test"):
        sure = mean_probability(networks, images)
        sure = functional.interpolate(sure, size=submission.SHAPE, mode="bilinear")
        found.append((sure[:, 0] > threshold).to(torch.uint8).cpu().numpy())
    numbers = [int(module.target.ids[i].rsplit("/", 1)[-1]) for i in where]
    return dict(zip(numbers, np.concatenate(found), strict=True))


def restore(
    recipe: recipes.Adaptation,
    packed: Packed,
    seed: int,
    grown: Sequence[tuple[Record, Path]],
    on: torch.device,
) -> Adapted:
    """Return the ensemble that a recipe names.

    Args:
        recipe: Of an ensemble.
        packed: The source with its target.
        seed: Of the members.
        grown: The records of the members and the files of their weights.
        on: The device.

    Raises:
        ValueError: See `restored`.
    """
    members = [restored(record, packed, seed, path, on) for record, path in grown]
    return Adapted(members[0], resumed=False, networks=[one.network for one in members])

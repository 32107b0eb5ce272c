"""Adaptation: a segmentation network learns on a source, and from pseudo-labels, and works on a target."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.data.batches import Batches
from landslide_lib.data.pack import with_bands
from landslide_lib.data.prepare import Data
from landslide_lib.models.cross_sensor import Domain, of_domain
from landslide_lib.training.segmentation import Loss, SegmentationTask, total_loss

Labels = NDArray[np.uint8]  # masks or pseudo-labels, (N, S, S)
IGNORE_INDEX = 2  # in a mask of pseudo-labels: a pixel that nobody is sure of


class PairedBatches:
    """Batches of the source, each beside one of the target, which begins anew, in another order, where it ends."""

    def __init__(self, source: Batches, target: Batches) -> None:
        self.source, self.target = source, target
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.source.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        passes = -(-len(self) // len(self.target))

        def target() -> Iterator[Any]:
            for number in range(passes):
                self.target.set_epoch(self.epoch * passes + number)
                yield from self.target

        return zip(self.source, target(), strict=False)


class AdaptationTask(SegmentationTask):
    """A network and the batches of its two domains: trained and validated on the source, scored on the target's `test`.

    `labels` (M, S, S) of 0, 1 and `IGNORE_INDEX` are pseudo-labels of the target's test images; None where the target
    is not trained on. Its own masks score and are never learnt. With `cross_sensor` norms keep statistics of each
    domain. `members` are those of an ensemble, whose mean is scored in place of this network.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        source: Data,
        target: Data,
        *,
        labels: Labels | None,
        cross_sensor: bool,
        **options: Any,
    ) -> None:
        super().__init__(network, loss, source, **options)
        self.target = self.scored = target
        self.labels, self.cross_sensor = labels, cross_sensor
        self.members: Sequence[nn.Module] = ()

    def loader(self, part: str) -> Any:
        if part == "test":
            return self.target.loader(part, batch=self.batch, device=self.device)
        source = super().loader(part)
        if part != "train" or (self.labels is None and not self.cross_sensor):
            return source
        packed = with_bands(self.target.packed, self.target.bands)
        masks = np.full_like(packed.masks, IGNORE_INDEX)  # without the target's own
        if self.labels is not None:
            masks[self.target.parts["test"]] = self.labels
        hidden = replace(self.target, packed=replace(packed, masks=masks, folder=None))
        how: dict[str, Any] = {"batch": self.batch, "seed": self.seed, "augment": self.augment, "device": self.device}
        return PairedBatches(source, hidden.loader("test", **how))

    def forward(self, images: Tensor, domain: Domain = "source") -> Tensor:
        with of_domain(self.network, domain):
            logits: Tensor = self.network(images)
        return logits

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        if isinstance(batch[0], Tensor):
            return super().training_loss(batch, epoch, step)
        source, target = batch
        if self.labels is None:  # cross-sensor norms see the target, and nothing is learnt of it
            with torch.no_grad():
                self(target[0], "target")
            torch.clear_autocast_cache()  # older releases of torch would use weights again that have no gradient
            return super().training_loss(source, epoch, step)
        if self.cross_sensor:
            logits = torch.cat([self(source[0]), self(target[0], "target")])
        else:
            logits = self(torch.cat([source[0], target[0]]))
        masks = torch.cat([source[1], target[1]])
        labelled = masks != IGNORE_INDEX
        # As one row of pixels: no term of a round measures distances in a mask.
        pixels = logits.transpose(0, 1)[:, labelled[:, 0]]
        return total_loss(self.loss, pixels[None, :, None], masks[labelled].view(1, 1, 1, -1))

    def probability(self, images: Tensor, part: str = "test") -> Tensor:
        return mean_probability(self.members or [self.network], images, "target" if part == "test" else "source")

    def evaluate(self) -> dict[str, Any]:
        """Return the scores of the members on the target, at a threshold that the source chooses."""
        where, packed = self.target.parts["test"], self.target.packed
        return {
            **super().evaluate(),
            "test_ids": [packed.ids[i] for i in where],
            "test_groups": [packed.groups[i] for i in where],
            "parameters": sum(p.numel() for network in self.members or [self.network] for p in network.parameters()),
            "pseudo_labels": None if self.labels is None else quality(self.labels, packed.masks[where]),
        }


@torch.no_grad()
def mean_probability(networks: Sequence[nn.Module], images: Tensor, domain: Domain = "target") -> Tensor:
    """Set networks to evaluation and return the mean of their probabilities in float32, (B, 1, S, S)."""
    each = []
    for network in networks:
        with of_domain(network.eval(), domain):
            each.append(network(images).float().sigmoid())
    return torch.stack(each).mean(0)


def labels_of(networks: Sequence[nn.Module], batches: Iterable[tuple[Tensor, Tensor]], confidence: float) -> Labels:
    """Return what the mean of some networks is sure of on the target, (N, S, S) of 0, 1 and `IGNORE_INDEX`.

    Landslide from the confidence on, background down to its counterpart, open between: the report names the threshold,
    and we assume what becomes of the rest. The masks of the batches are not looked at.
    """
    parts = []
    for images, _ in batches:
        mean = mean_probability(networks, images)[:, 0]
        labels = torch.full(mean.shape, IGNORE_INDEX, dtype=torch.uint8, device=mean.device)
        labels[mean <= 1 - confidence] = 0
        labels[mean >= confidence] = 1
        parts.append(labels.cpu().numpy())
    return np.concatenate(parts)


def quality(labels: Labels, truth: Labels) -> dict[str, float | None]:
    """Return how right pseudo-labels are, as shares; None where there is nothing to divide by.

    `coverage` are the pixels that are labelled at all; `precision` and `recall` are of the landslide labels among all
    pixels; `missed` is the landslide that is labelled background.
    """
    called, true = labels == 1, truth == 1
    right, positive = int((called & true).sum()), int(true.sum())
    return {
        "coverage": float((labels != IGNORE_INDEX).mean()),
        "precision": right / int(called.sum()) if called.any() else None,
        "recall": right / positive if positive else None,
        "missed": int(((labels == 0) & true).sum()) / positive if positive else None,
    }

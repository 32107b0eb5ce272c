"""Detection: how a Faster R-CNN trains and is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landslide_lib import datasets, detections
from landslide_lib import recipe as recipes
from landslide_lib.datasets.box_batches import BoxBatches
from landslide_lib.datasets.boxes import Boxes, load_boxes
from landslide_lib.datasets.pack import Packed
from landslide_lib.detections import Detections
from landslide_lib.models import weights
from landslide_lib.models.detector import detector
from landslide_lib.records import Outcome, Record
from landslide_lib.tasks import engine
from landslide_lib.tasks.learner import Learner, Run, kept

#: Test images whose boxes a record keeps, for a figure.
EXAMPLES = 6


class Detection(Learner):
    """A detector and its batches; see `Learner`.

    Args:
        recipe: What to train.
        packed: On what.
        seed: See `Learner`.
        on: The device.
        boxes: Around the landslides of the packed images.
    """

    recipe: recipes.Detection

    def __init__(
        self,
        recipe: recipes.Detection,
        packed: Packed,
        seed: int,
        on: torch.device,
        boxes: Boxes,
    ) -> None:
        super().__init__(recipe, packed, seed, on)
        self.boxes = boxes
        self.network = detector(recipe, len(self.means))

    def batches(self, part: str) -> BoxBatches:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        training = part == "train"
        return BoxBatches(
            self.packed, self.parts[part], self.recipe.batch, self.means,
            bands=self.recipe.bands, device=self.on, boxes=self.boxes, shift=self.shift,
            seed=self.seed if training else None,
            turned=training and "rotation" in self.recipe.augmentation,
            **(self.shares if training else {}),
        )  # fmt: skip

    def on_train_epoch_start(self) -> None:
        """Seed what Faster R-CNN draws its regions by: a resumed run draws the same."""
        super().on_train_epoch_start()
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: tuple[Tensor, list[dict[str, Tensor]]], _: int) -> Tensor:
        """Return the sum of the losses of the proposals and of the boxes."""
        images, targets = batch
        loss = torch.stack(list(self.network(list(images), targets).values())).sum()
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Collect anew."""
        super().on_validation_epoch_start()
        self._found: list[Any] = []

    def validation_step(self, batch: tuple[Tensor, list[dict[str, Tensor]]], _: int) -> None:
        """Collect the boxes of a batch."""
        self._found += found(self.network, batch[0])

    def scored(self) -> dict[str, float | None]:
        """Return mAP at IoU 0.5."""
        matched = detections.match(self._found, self.truth("valid"))
        return {"valid_map_50": detections.scores(matched, 0.5)["boxes"]["map_50"]}

    def truth(self, part: str) -> list[Any]:
        """Return the true boxes of each image of a part."""
        return [self.boxes.of(int(i)) for i in self.parts[part]]


def found(network: torch.nn.Module, images: Tensor) -> list[tuple[Any, Any]]:
    """Return boxes (n, 4) in pixels and scores (n,) of each image, as numpy arrays."""
    return [
        (one["boxes"].float().cpu().numpy(), one["scores"].float().cpu().numpy())
        for one in network(list(images))
    ]


class Detected(Run[Detection]):
    """A trained detector."""

    @torch.no_grad()
    def on(self, part: str, examples: int = 0, thresholds: Sequence[float] = ()) -> Detections:
        """Return what is found on a part, in float32, exact at 0.5 and some more thresholds."""
        module = self.module
        module.network.eval()
        predicted = [one for images, _ in module.batches(part)
                     for one in found(module.network, images)]  # fmt: skip
        return detections.match(
            predicted, module.truth(part), range(examples), thresholds=(0.5, *thresholds)
        )

    def evaluated(self) -> dict[str, Any]:
        """Return what a record says of the detector's scores."""
        valid = self.on("valid")
        tuned = detections.best_threshold(valid)
        test = self.on("test", EXAMPLES, [tuned])

        def outcome(of: Detections, threshold: float) -> Outcome:
            return Outcome(threshold=threshold, metrics=detections.scores(of, threshold))

        return {
            "test": outcome(test, 0.5), "test_tuned": outcome(test, tuned),
            "valid": outcome(valid, 0.5), "valid_tuned": outcome(valid, tuned),
            "test_counts": [], "histogram": [], "detections": test, "start": self.module.start,
        }  # fmt: skip


def train(
    recipe: recipes.Detection,
    packed: Packed,
    seed: int,
    work: Path,
    on: torch.device,
    grown: Sequence[tuple[Record, Path]] = (),
    data_root: Path | None = None,
) -> Detected:
    """Train a detector from its last checkpoint, or from its start.

    Args:
        recipe: What to train.
        packed: The dataset at the recipe's image size.
        seed: See `Learner`.
        work: The folder of this run's checkpoints.
        on: The device.
        grown: The record of the pre-training and the file of its weights, where there is one.
        data_root: In place of `LANDSLIDE_DATA`.

    Returns:
        The run. The weights are those of the last epoch: none is picked by its score.

    Raises:
        WeightsNotFoundError: The weights that the recipe starts from are not here.
        FloatingPointError: The loss has become NaN or infinite.
    """
    boxes = load_boxes(datasets.get(recipe.dataset), packed, recipe.image_size, root=data_root)
    module = Detection(recipe, packed, seed, on, boxes)
    given = None
    for record, path in grown:
        given = kept(path, record.recipe, seed, record.fingerprint)
    module.start = weights.begin(module.network, recipe, given, data_root)
    resumed = engine.fit(module, recipe, seed, work, on)
    module.to(on)
    return Detected(module, resumed)

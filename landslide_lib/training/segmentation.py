"""Semantic segmentation: a network calls each pixel landslide or not."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.data.prepare import Data
from landslide_lib.metrics import scores
from landslide_lib.metrics.counts import Counter
from landslide_lib.models.heads import Outputs, mask_of
from landslide_lib.training import postprocessing
from landslide_lib.training.task import Task, evaluation, outcome

#: A loss of logits (B, 1, H, W) and masks of the same shape in {0, 1}: a scalar.
Loss = Callable[[Tensor, Tensor], Tensor]


def total_loss(loss: Loss, outputs: Outputs, masks: Tensor) -> Tensor:
    """Return the loss of logits of the mask, or several by name (`models.heads`), and masks (B, 1, S, S) in {0, 1}.

    Of masks at several resolutions it is the mean; to the mask of a dual head the cross entropy of the image is added
    (the report's "focal + iou + cross entropy").
    """
    if isinstance(outputs, Tensor):
        return torch.as_tensor(loss(outputs, masks))
    of_masks = [loss(logits, _resized(masks, logits.shape[-1])) for name, logits in outputs.items() if name != "image"]
    total = torch.stack(of_masks).mean()
    if "image" in outputs:
        present = masks.amax((2, 3))
        total = total + F.binary_cross_entropy_with_logits(outputs["image"].float(), present)
    return total


def _resized(masks: Tensor, size: int) -> Tensor:
    """Resize masks: a larger pixel is landslide where half of it is, as packing has it."""
    if size >= masks.shape[-1]:
        return F.interpolate(masks, size=size, mode="nearest")
    return (F.interpolate(masks, size=size, mode="area") >= 0.5).to(masks.dtype)


class SegmentationTask(Task):
    """A segmentation network, images (B, C, S, S) to logits (B, 1, S, S), or several by name, its loss and its data.

    `post_processing` are steps after the network, see `postprocessing`; only `count` applies them.
    """

    def __init__(
        self, network: nn.Module, loss: Loss, data: Data, *, post_processing: Sequence[Any] = (), **options: Any
    ) -> None:
        super().__init__(network.to(memory_format=torch.channels_last), data, **options)
        self.loss, self.post_processing = loss, post_processing
        self.counter = Counter()

    def forward(self, images: Tensor) -> Outputs:
        outputs: Outputs = self.network(images)
        return outputs

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        images, masks = batch
        return total_loss(self.loss, self(images), masks)

    def start_validation(self) -> None:
        self.counter = Counter()

    def validation_loss(self, batch: Any, step: int) -> Tensor:
        images, masks = batch
        outputs = self(images)
        self.counter.update(mask_of(outputs).float().sigmoid(), masks)
        return total_loss(self.loss, outputs, masks)

    def scores(self) -> dict[str, float | None]:
        return valid_f1(self.counter.images())

    @torch.no_grad()
    def predictions(self, part: str) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield probabilities and masks of a part batch by batch, each (B, 1, S, S); float32 for threshold sweeps."""
        self.eval()
        for images, masks in self.loader(part):
            yield postprocessing.probability(self.network, images, self.post_processing), masks

    def count(self, part: str, *thresholds: float) -> Counter:
        counter = Counter(*thresholds)
        for probability, masks in self.predictions(part):
            counter.update(probability, masks)
        return counter

    def evaluate(self) -> dict[str, Any]:
        return score(self.count)


def valid_f1(counts: Tensor) -> dict[str, float | None]:
    """Return the pooled F1 of tp, fp, fn, tn of each image, (N, 4), by its name in the history."""
    tp, fp, fn, _ = counts.sum(0).tolist()
    return {"valid_f1": scores.defined_or_none(scores.class_scores(tp, fp, fn)["f1"])}


def score(count: Callable[..., Counter]) -> dict[str, Any]:
    """Return the `evaluation` of what counts the predictions on a part at thresholds, with 100 bins of probability."""
    valid = count("valid")
    histogram = valid.histogram().numpy()
    tuned = scores.best_threshold(*histogram)
    test = count("test", 0.5, tuned)
    return evaluation(
        test=outcome(scores.scores(test.images(0))),
        test_tuned=outcome(scores.scores(test.images(1)), tuned),
        valid=outcome(scores.scores(valid.images())),
        valid_tuned=outcome(scores.at_threshold(*histogram, threshold=tuned), tuned),
        test_counts=test.images(0).tolist(),
        # 100 bins are enough for a curve, and keep a published record small.
        histogram=test.histogram().view(2, 100, -1).sum(2).tolist(),
    )

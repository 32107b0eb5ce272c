"""Semantic segmentation: a network calls each pixel landslide or not."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.data.prepare import Data
from landslide_lib.metrics import scores
from landslide_lib.metrics.counts import Counter, confusion
from landslide_lib.models.heads import Outputs, mask_of
from landslide_lib.training import pictures, postprocessing
from landslide_lib.training.task import Task, evaluation, outcome

#: A loss of logits (B, 1, H, W) and masks of the same shape in {0, 1}: a scalar.
Loss = Callable[[Tensor, Tensor], Tensor]
AUXILIARY = 0.4  # weight of the loss of HRNet-OCR's regions: Yuan, Chen, Wang 2020, arXiv:1909.11065


def total_loss(loss: Loss, outputs: Outputs, masks: Tensor) -> Tensor:
    """Return the loss of logits of the mask, or several by name (`models.heads`), and masks (B, 1, S, S) in {0, 1}.

    Of masks at three resolutions that of the image counts half and the others a quarter each, as in the first author's
    code (https://github.com/CamDucLe/Landslide-Project-Sentinel2); to the mask of a dual head the cross entropy of the
    image is added (the report's "focal + iou + cross entropy"). A second map of logits, (B, 2, S, S) with the mask's,
    is auxiliary, see `AUXILIARY`.
    """
    if isinstance(outputs, Tensor):
        first, *more = (torch.as_tensor(loss(each[:, None], masks)) for each in outputs.unbind(1))
        return first + AUXILIARY * more[0] if more else first
    of_masks = {
        name: loss(logits, _resized(masks, logits.shape[-1])) for name, logits in outputs.items() if name != "image"
    }
    total = of_masks.pop("mask")
    if of_masks:
        total = 0.5 * total + 0.5 * torch.stack([*of_masks.values()]).mean()
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
        self.scored = data  # whose test part is scored

    def forward(self, images: Tensor) -> Outputs:
        outputs: Outputs = self.network(images)
        return outputs

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        images, masks = batch
        return total_loss(self.loss, self(images), masks)

    def validate(self, batch: Any, step: int) -> tuple[Tensor, Tensor]:
        images, masks = batch
        outputs = self(images)
        return total_loss(self.loss, outputs, masks), confusion(mask_of(outputs).float().sigmoid() > 0.5, masks == 1)

    def probability(self, images: Tensor, part: str = "test") -> Tensor:
        """Return the probability of landslide of images of a part, (B, 1, S, S), float32 for threshold sweeps."""
        return postprocessing.probability(self.network, images, self.post_processing)

    @torch.no_grad()
    def predictions(self, part: str) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield probabilities and masks of a part batch by batch, each (B, 1, S, S)."""
        self.eval()
        for images, masks in self.loader(part):
            yield self.probability(images, part), masks

    def count(self, part: str, *thresholds: float) -> Counter:
        counter = Counter(*thresholds)
        for probability, masks in self.predictions(part):
            counter.update(probability, masks)
        return counter

    def evaluate(self) -> dict[str, Any]:
        return {**score(self.count), "examples": self.examples()}

    @torch.no_grad()
    def examples(self) -> dict[str, str]:
        """Return the probabilities of six test images with landslides, by id; see `pictures.encode`."""
        data, places = self.scored, pictures.spread(self.scored.packed.masks[self.scored.parts["test"]])
        if not len(places):
            return {}
        images, _ = data.test.batch(places)
        probabilities = self.eval().probability(images.to(self.device))[:, 0].cpu().numpy()
        rows = data.parts["test"][places]
        return {data.packed.ids[row]: pictures.encode(each) for row, each in zip(rows, probabilities, strict=True)}


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
        histogram=test.histogram(100).tolist(),  # enough for a curve, and keeps a published record small
    )

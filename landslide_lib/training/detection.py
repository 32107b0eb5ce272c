"""Detection: a Faster R-CNN draws boxes around landslides."""

from typing import Any

import torch
from torch import Tensor, nn

from landslide_lib.data.batches import BoxTarget
from landslide_lib.data.boxes import Boxes
from landslide_lib.data.prepare import Data
from landslide_lib.metrics import detection
from landslide_lib.metrics.detection import Detections
from landslide_lib.training.task import Task, evaluation, outcome

EXAMPLES = 6  # test images whose boxes are kept for a figure
Predicted = tuple[Any, Any]  # of one image: boxes (n, 4) in pixels and scores (n,), numpy arrays


class DetectionTask(Task):
    """A detector, which works as torchvision's, and its data; `boxes` are those of all packed images.

    With `rotate` training images are turned by quarters.
    """

    def __init__(self, network: nn.Module, data: Data, boxes: Boxes, *, rotate: bool, **options: Any) -> None:
        super().__init__(network, data, **options)
        self.boxes, self.rotate = boxes, rotate

    def batch_target(self, part: str) -> BoxTarget:
        return BoxTarget(self.boxes, part == "train" and self.rotate)

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        images, targets = batch
        return torch.stack(list(self.network(list(images), targets).values())).sum()

    def validate(self, batch: Any, step: int) -> tuple[None, list[Predicted]]:
        return None, predict(self.network, batch[0])

    def scores(self, outputs: list[list[Predicted]]) -> dict[str, float | None]:
        found = self._match("valid", [image for batch in outputs for image in batch])
        return {"valid_map_50": detection.scores(found, 0.5)["boxes"]["map_50"]}

    def _match(self, part: str, predicted: list[Predicted], examples: int = 0, *thresholds: float) -> Detections:
        truth = [self.boxes.of(int(i)) for i in self.data.parts[part]]
        return detection.match(predicted, truth, range(examples), thresholds=(0.5, *thresholds))

    @torch.no_grad()
    def predictions(self, part: str) -> list[Predicted]:
        self.eval()
        return [image for images, _ in self.loader(part) for image in predict(self.network, images)]

    def evaluate(self) -> dict[str, Any]:
        found = {"valid": self._match("valid", self.predictions("valid"))}
        tuned = detection.best_threshold(found["valid"])
        found["test"] = self._match("test", self.predictions("test"), EXAMPLES, tuned)
        at = {part: outcome(detection.scores(each, 0.5)) for part, each in found.items()}
        best = {f"{part}_tuned": outcome(detection.scores(each, tuned), tuned) for part, each in found.items()}
        return evaluation(**at, **best, detections=found["test"])


def predict(network: nn.Module, images: Tensor) -> list[Predicted]:
    """Return boxes and scores of each image of a batch."""
    return [(one["boxes"].float().cpu().numpy(), one["scores"].float().cpu().numpy()) for one in network(list(images))]

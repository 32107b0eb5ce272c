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
        self.predicted: list[Predicted] = []

    def batch_target(self, part: str) -> BoxTarget:
        return BoxTarget(self.boxes, part == "train" and self.rotate)

    def start_epoch(self, epoch: int) -> None:
        torch.manual_seed(self.epoch_seed(epoch))

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        images, targets = batch
        return torch.stack(list(self.network(list(images), targets).values())).sum()

    def start_validation(self) -> None:
        self.predicted = []

    def validation_loss(self, batch: Any, step: int) -> None:
        self.predicted += predict(self.network, batch[0])

    def scores(self) -> dict[str, float | None]:
        return {"valid_map_50": detection.scores(self._match("valid", self.predicted), 0.5)["boxes"]["map_50"]}

    def _match(self, part: str, predicted: list[Predicted], examples: int = 0, *thresholds: float) -> Detections:
        truth = [self.boxes.of(int(i)) for i in self.data.parts[part]]
        return detection.match(predicted, truth, range(examples), thresholds=(0.5, *thresholds))

    @torch.no_grad()
    def predictions(self, part: str) -> list[Predicted]:
        self.eval()
        return [image for images, _ in self.loader(part) for image in predict(self.network, images)]

    def evaluate(self) -> dict[str, Any]:
        valid = self._match("valid", self.predictions("valid"))
        tuned = detection.best_threshold(valid)
        test = self._match("test", self.predictions("test"), EXAMPLES, tuned)
        return evaluation(
            test=outcome(detection.scores(test, 0.5)),
            test_tuned=outcome(detection.scores(test, tuned), tuned),
            valid=outcome(detection.scores(valid, 0.5)),
            valid_tuned=outcome(detection.scores(valid, tuned), tuned),
        ) | {"detections": test}


def predict(network: nn.Module, images: Tensor) -> list[Predicted]:
    """Return boxes and scores of each image of a batch."""
    return [
        (image["boxes"].float().cpu().numpy(), image["scores"].float().cpu().numpy()) for image in network(list(images))
    ]

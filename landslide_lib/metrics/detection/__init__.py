"""What a detector found, in few bytes, and every score of it. No torch.

COCO's matching decides once which detections are right, by pycocotools. Scores, curves and intervals are then computed
from its answers alone, without boxes or images.
"""

from landslide_lib.metrics.detection.average_precision import SCORES, best_threshold, curve, scores
from landslide_lib.metrics.detection.interval import bootstrap, paired_bootstrap
from landslide_lib.metrics.detection.matching import IOUS, UNIT, Detections, Example, match

__all__ = [
    "IOUS",
    "SCORES",
    "UNIT",
    "Detections",
    "Example",
    "best_threshold",
    "bootstrap",
    "curve",
    "match",
    "paired_bootstrap",
    "scores",
]

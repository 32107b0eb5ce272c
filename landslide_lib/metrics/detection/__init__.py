"""What a detector found, in few bytes, and every score of it. No torch.

COCO's matching decides once which detections are right, by pycocotools. Scores, curves and intervals are then computed
from its answers alone, without boxes or images.
"""

from landslide_lib.metrics.detection.average_precision import best_threshold, curve, paired_bootstrap, scores
from landslide_lib.metrics.detection.matching import Detections, match

__all__ = ["Detections", "best_threshold", "curve", "match", "paired_bootstrap", "scores"]

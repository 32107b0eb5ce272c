"""How sure a map is: probabilities nearer to frequencies, and a bound on the landslide area that it misses.

Everything is about the probability of landslide as `Bundle.predict` gives it, and about images whose landslides are
known and from which nothing was learnt. What is found holds for images that could as well have been among them: the
same region, sensor and season.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from torch import nn
from torchmetrics.functional.classification import binary_calibration_error

from landslide_lib.data.prepare import Data
from landslide_lib.training import postprocessing

Images = Sequence[ArrayLike] | NDArray[Any]  # an array an image
ALPHAS = (0.05, 0.1, 0.2)  # shares of the landslide area that `of_validation` bounds
BELOW_ONE = np.nextafter(1.0, 0.0)
LEAST = 2.0**-24  # a probability in 32 bits is no nearer to 1, other than at 1


def temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """Return the number above 0 by which logits are divided so that they are most likely (Guo et al. 2017).

    It minimises the mean negative log-likelihood of `truth`, 0 or 1 of each pixel, of the same shape as the finite
    logits. Above 1 the network is too sure of itself, below 1 too little. https://arxiv.org/abs/1706.04599. Raises
    ValueError: there is no best one.
    """
    scores, landslide = _pixels(logits, truth, "logits", -np.inf, np.inf)
    if landslide.all() or not landslide.any():
        raise ValueError("temperature: all pixels are of one class; calibrate on images with landslides and without")
    right = np.where(landslide, scores, -scores)  # above 0 where the network is right
    if right.min() > 0:
        raise ValueError("temperature: not one pixel is wrong, so that none is best; calibrate on more images")
    if right.mean() <= 0:
        raise ValueError(
            "temperature: the logits are more wrong than right; train the network, or see what 1 is in the masks"
        )
    found = minimize_scalar(
        lambda log: np.logaddexp(0, -right * np.exp(-log)).mean(),
        bounds=(-10, 10), method="bounded", options={"xatol": 1e-6},
    )  # fmt: skip
    return float(np.exp(found.x))


def calibrated(probability: ArrayLike, temperature: float) -> NDArray[Any]:
    """Return probabilities, of any shape, after their logits were divided by a temperature above 0; NaN stays NaN."""
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature {temperature}: it has to be above 0")
    given = np.asarray(probability)
    return np.asarray(expit(logit(given.astype(np.float64)) / temperature), given.dtype)


def reliability(probability: ArrayLike, truth: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Compare probabilities in 0..1 with truth, 0 or 1 of each pixel, in bins of one width: a reliability diagram.

    Columns are `bin` (closed at the left, the last one at both sides), the mean `probability` and the share of
    `landslide` of its pixels (NaN in an empty bin), and their number, `pixels`. Calibrated are probabilities where the
    two agree.
    """
    chances, landslide = _pixels(probability, truth, "probabilities", 0, 1)
    pixels, edges = np.histogram(chances, bins, (0, 1))
    sums = [np.histogram(chances, bins, (0, 1), weights=weights)[0] for weights in (chances, landslide * 1.0)]
    with np.errstate(invalid="ignore"):
        mean, share = (each / pixels for each in sums)
    intervals = pd.IntervalIndex.from_breaks(edges.round(6), closed="left")
    return pd.DataFrame({"bin": intervals, "probability": mean, "landslide": share, "pixels": pixels})


def calibration_error(probability: ArrayLike, truth: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error, 0..1, of `reliability`: how far its two columns are apart, by pixels.

    Most pixels are background that no one doubts, and most of the error is theirs: see the bins between, too.
    """
    chances, landslide = _pixels(probability, truth, "probabilities", 0, 1)
    # torchmetrics would give a probability of 1 a bin of its own. In 32 bits its sums would end at 2**24 pixels.
    values = torch.from_numpy(chances.clip(max=BELOW_ONE))
    return float(binary_calibration_error(values, torch.from_numpy(landslide).long(), n_bins=bins))


def missed_bound(probabilities: Images, masks: Images, alpha: float) -> float:
    """Return the highest threshold above which a map misses at most a share alpha of an image's landslide area.

    `probabilities` in 0..1 and `masks` of 0 and 1 hold an array an image, of any shapes; images without landslide say
    nothing. The share is an expectation: over another image with landslide that is exchangeable with these, and over
    the draw of these. Conformal risk control, equation 4 of Angelopoulos et al. 2022, https://arxiv.org/abs/2208.02814,
    whose risk is bounded by 1 and jumps at probabilities of landslide pixels alone. Raises ValueError: too few images
    have a landslide for this alpha, or pixels of landslide have probability 0, which no threshold finds.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha}: it has to be above 0 and below 1")
    found = _landslides(probabilities, masks)
    if 1 / (len(found) + 1) > alpha:
        few = f"{len(found)} of {len(masks)} images with a landslide: too few"
        raise ValueError(f"{few}; alpha {alpha:g} needs at least {ceil(1 / alpha) - 1}")
    values = np.concatenate(found)
    shares = np.concatenate([np.full(len(one), 1 / len(one)) for one in found])
    order = values.argsort()
    risk = (1 + shares[order].cumsum()) / (len(found) + 1)
    kept = values[order][np.searchsorted(risk, alpha, side="right")]  # the lowest that may not be missed
    if kept == 0:
        raise ValueError(f"alpha {alpha:g}: too much of the landslide has probability 0, which no threshold finds")
    # Just below, in 32 bits, as probabilities are compared with it in these.
    return float(np.nextafter(np.float32(kept), np.float32(0)))


def missed_share(probabilities: Images, masks: Images, threshold: float) -> float:
    """Return the share of an image's landslide area that is not above a threshold: the mean over images with some.

    Raises ValueError: no image has a landslide.
    """
    if not (found := _landslides(probabilities, masks)):
        raise ValueError(f"none of {len(masks)} images has a landslide, so that none is missed or found")
    return float(np.mean([(one <= threshold).mean() for one in found]))


def missed_between(probabilities: Images, masks: Images, groups: Sequence[str], alpha: float) -> pd.DataFrame:
    """Return how much is missed in one group of images (column) at the `missed_bound` of another (row): `missed_share`.

    A group is a region, a sensor or a season, named for each image. Within a group each image is tested at the bound of
    the others. Where groups are exchangeable no share is above alpha but by chance. Raises ValueError: a group has too
    few images with landslide.
    """
    if not len(probabilities) == len(masks) == len(groups):
        raise ValueError(
            f"{len(probabilities)} images, {len(masks)} masks, {len(groups)} groups: each image needs both"
        )
    with_some = [i for i, mask in enumerate(masks) if np.any(mask)]
    of = {name: [i for i in with_some if groups[i] == name] for name in sorted(set(groups))}

    def bound(rows: list[int]) -> float:
        return missed_bound([probabilities[i] for i in rows], [masks[i] for i in rows], alpha)

    def missed(rows: list[int], threshold: float) -> float:
        return missed_share([probabilities[i] for i in rows], [masks[i] for i in rows], threshold)

    bounds, alone = {}, {}
    for name, rows in of.items():
        try:
            bounds[name] = bound(rows)
            alone[name] = np.mean([missed([i], bound([j for j in rows if j != i])) for i in rows])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    shares = [[alone[one] if one == name else missed(of[name], bounds[one]) for name in of] for one in of]
    return pd.DataFrame(shares, pd.Index(of, name="bound of"), pd.Index(of, name="missed in"))


def of_validation(network: nn.Module, data: Data, steps: Sequence[Any] = ()) -> dict[str, Any]:
    """Return `temperature` and `bounds` of a `Bundle`, from the validation images of the data it was trained on.

    The network is in evaluation mode; `steps` are its post-processing. Bounded are those of `ALPHAS` that the number of
    images allows. Raises ValueError: the images are too few for a temperature.
    """
    batches = [(postprocessing.probability(network, images, steps), masks) for images, masks in data.loader("valid")]
    found, masks = (torch.cat(each).numpy() for each in zip(*batches, strict=True))
    least = 1 / (1 + masks.any((1, 2, 3)).sum())
    return {
        "temperature": temperature(logit(found.clip(LEAST, 1 - LEAST)), masks),
        "bounds": {f"{alpha:g}": missed_bound(found, masks, alpha) for alpha in ALPHAS if alpha >= least},
    }


def _pixels(
    values: ArrayLike, truth: ArrayLike, name: str, low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values and truth pixel by pixel. Raises ValueError: they do not belong together, or are none."""
    given, known = np.asarray(values), np.asarray(truth)
    if given.shape != known.shape or not given.size:
        raise ValueError(f"{name} {given.shape} and truth {known.shape}: they have to be of one shape, and not empty")
    if wrong := int((~(np.isfinite(given) & (given >= low) & (given <= high))).sum()):
        allowed = "finite" if high == np.inf else f"in {low}..{high}"
        raise ValueError(f"{name}: {wrong} are not {allowed}; leave out what is unknown")
    if not ((known == 0) | (known == 1)).all():
        raise ValueError("truth: it has to be 0 or 1, landslide, everywhere; leave out what is unknown")
    return given.ravel().astype(np.float64), known.ravel() == 1


def _landslides(probabilities: Images, masks: Images) -> list[NDArray[Any]]:
    """Return the probabilities of the landslide pixels of each image that has some. Raises as `_pixels`."""
    if len(probabilities) != len(masks):
        raise ValueError(f"{len(probabilities)} images and {len(masks)} masks: each image needs its mask")
    found = []
    for place, (image, mask) in enumerate(zip(probabilities, masks, strict=True)):
        try:
            _pixels(image, mask, "probabilities", 0, 1)
        except ValueError as error:
            raise ValueError(f"image {place}: {error}") from None
        found.append(np.asarray(image)[np.asarray(mask) == 1])
    return [one for one in found if len(one)]

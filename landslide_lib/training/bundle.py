"""A trained segmentation network as one file of safetensors, with all that its use needs; `data/models` has ours."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from landslide_lib.models import MODELS
from landslide_lib.models.checkpoints import not_finite
from landslide_lib.paths import TRAINED, atomic_write
from landslide_lib.training.postprocessing import probability

FORMAT = "landslide-bundle-2"


@dataclass(frozen=True)
class Bundle:
    """A trained network, in evaluation mode, and how it is used."""

    network: nn.Module
    bands: tuple[str, ...]  # in the order that the network takes
    shift: Tensor  # (C, 1, 1), subtracted from the bands, in the unit of `about["unit"]`
    scale: Tensor  # (C, 1, 1), what they are divided by after that
    threshold: float  # above which a pixel is called landslide, chosen on validation images
    post_processing: tuple[SimpleNamespace, ...]  # its steps in order, see `training.postprocessing`
    metres_per_pixel: float  # of the ground, in the images that it was trained on
    # What one unit of each band is: reflectance, degrees of slope, metres of height, or 255 digital numbers of a
    # photograph of 8 bits. None: nobody says (Landslide4Sense's own scale).
    units: tuple[float, ...] | None
    about: dict[str, Any]  # `dataset`, `record`, `test` scores, `size` of training images in pixels, `unit` of images
    temperature: float = 1.0  # logits are divided by it, so that a probability is a frequency on validation images
    # Thresholds that miss at most so much of the landslide area: {"0.1": 0.03}, see `geo.certainty`.
    bounds: dict[str, float] = field(default_factory=dict)

    def predict(self, images: Tensor) -> Tensor:
        """Return the probability of landslide, (B, 1, H, W), of images (B, C, H, W), H and W multiples of 16.

        It is that of the network, which `threshold` is for: not divided by the temperature.
        """
        return probability(self.network, (images.float() - self.shift) / self.scale, self.post_processing)


def save_bundle(path: Path, network: nn.Module, build: dict[str, Any], **fields: Any) -> Path:
    """Write a network, in half precision, with what `MODELS` builds it from and the other fields of a `Bundle`.

    `build` holds the name of the `model` and its arguments; `post_processing` has a dict a step.
    """
    state = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    if bad := not_finite(state):
        raise ValueError(f"{path}: {bad[0]} of the network is too large for half precision")
    fields |= {"shift": fields["shift"].flatten().tolist(), "scale": fields["scale"].flatten().tolist()}
    metadata = {"format": FORMAT, "build": json.dumps(build), "fields": json.dumps(fields)}
    with atomic_write(path) as scratch:
        scratch.write_bytes(save({k: v.cpu().contiguous() for k, v in state.items()}, metadata))
    return path


def load_bundle(name: str | Path) -> Bundle:
    """Read a trained network: one of `data/models` by name, or a file. Nothing in it is run.

    Raises FileNotFoundError: it is not there. ValueError: it is damaged or no such file.
    """
    path = Path(name) if Path(name).suffix else TRAINED / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in TRAINED.glob("*.safetensors"))) or "none"
        raise FileNotFoundError(f"{path} is not there; trained networks by name: {known}")
    try:
        with safe_open(path, "pt") as file:
            metadata, state = file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is {metadata.get('format')}, not {FORMAT}")
        build, fields = json.loads(metadata["build"]), json.loads(metadata["fields"])
        network = MODELS[build.pop("model")](**build)
        network.load_state_dict(state)
        fields["bands"], units = tuple(fields["bands"]), fields["units"]
        fields["units"] = None if units is None else tuple(units)
        fields["post_processing"] = tuple(SimpleNamespace(**step) for step in fields["post_processing"])
        fields |= {key: torch.tensor(fields[key]).view(-1, 1, 1) for key in ("shift", "scale")}
        return Bundle(network.eval(), **fields)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged or no trained network ({error}); get it again") from error

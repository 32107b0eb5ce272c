"""A network for small machines: what it costs, counted, and an ONNX file of it, of float32 or of 8-bit integers."""

import copy
import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quant_pre_process, quantize_static  # type: ignore[import-untyped, unused-ignore]
from onnxscript.ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from landslide_lib.models.heads import mask_of
from landslide_lib.paths import PUBLISHED, atomic_write
from landslide_lib.study.recipe import Segmentation
from landslide_lib.study.tasks.segmentation import model_of

#: What `tools/export.py` measures of ONNX files, for who has none.
FOLDER = PUBLISHED / "edge"


class Probability(nn.Module):
    """A copy of a network for evaluation on the CPU, which gives the probability of landslide, (B, 1, S, S)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.cpu().float().eval()

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities at the image's own resolution."""
        return mask_of(self.network(image)).sigmoid()


def cost(recipe: Segmentation) -> dict[str, float]:
    """Return the `parameters` of a network and the `multiply_adds` of one image: of convolutions and matrix products.

    Counted on torch's meta device, without memory; normalisation, activations and resizing are left out.
    """
    counter = FlopCounterMode(display=False)  # counts two operations a multiplication with its addition
    with torch.device("meta"), torch.no_grad():
        network = model_of(recipe, recipe.channels).eval()
        with counter:
            network(torch.empty(1, recipe.channels, recipe.image_size, recipe.image_size))
    return {"parameters": sum(p.numel() for p in network.parameters()), "multiply_adds": counter.get_total_flops() / 2}


def to_onnx(network: nn.Module, path: Path, *, bands: int, size: int) -> Path:
    """Write a network as one ONNX file, whole or not at all; an older one is replaced.

    Its input `image` is float32 (B, bands, size, size) with any B, normalised as in training, `size` a multiple of 16;
    its output `probability` is float32 (B, 1, size, size) in 0..1. Raises ValueError: PyTorch cannot export it.
    """
    how: dict[str, Any] = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=1)},)}
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["probability"]}
    frozen, images = Probability(network), (torch.zeros(2, bands, size, size),)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with atomic_write(path) as scratch, warnings.catch_warnings(action="ignore"):
        try:
            try:
                program = torch.export.export(frozen, images, **how, strict=False)
            except RuntimeError:
                # `len(images)` is a constant to this tracer. The slower one reads the code, and torch's
                # ONNX exporter by itself would silently write a file for two images.
                program = torch.export.export(frozen, images, **how, strict=True)
            made: Any = torch.onnx.export(program, (), dynamo=True, verbose=False, **how, **names)
        except RuntimeError as error:
            kind, why = type(network).__name__, str(error).splitlines()[0]
            raise ValueError(f"{path.name}: PyTorch {torch.__version__} cannot export this {kind}: {why}") from error
        ClearMetadataAndDocStringPass()(made.model)  # a line of source a step makes a file twice as large
        made.save(scratch, external_data=False)
    return path


class _Images(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: NDArray[np.float32]) -> None:
        self.images = iter(images[:, None])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(({"image": image} for image in self.images), None)


def quantize(path: Path, images: NDArray[np.float32]) -> Path:
    """Write an ONNX file of `to_onnx` with 8-bit integers in place of float32, whole or not at all, as `.int8.onnx`.

    ONNX Runtime's static quantization: int8 weights with a scale a channel, uint8 maps whose ranges are those of the
    `images`, (N, bands, size, size), normalised as in training. Jacob and others 2018, arXiv:1712.05877.
    """
    target = path.with_suffix(".int8.onnx")
    with TemporaryDirectory() as folder, atomic_write(target) as scratch:
        folded = Path(folder) / path.name  # batch normalisation within the convolutions before it
        quant_pre_process(path, folded, skip_symbolic_shape=True)
        quantize_static(folded, scratch, _Images(images), per_channel=True)
    return target

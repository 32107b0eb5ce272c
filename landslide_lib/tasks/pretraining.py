"""Pre-training: how an encoder learns before it becomes part of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib import augment, datasets, scores
from landslide_lib import recipe as recipes
from landslide_lib.datasets.batches import Batches
from landslide_lib.datasets.boxes import load_boxes
from landslide_lib.datasets.crop_batches import CropBatches
from landslide_lib.datasets.crops import Crops, examples
from landslide_lib.datasets.pack import Packed
from landslide_lib.losses.distillation import distillation
from landslide_lib.models import weights
from landslide_lib.models.autoencoder import Restored, autoencoder
from landslide_lib.models.encoders import encoder
from landslide_lib.records import Outcome, Record
from landslide_lib.tasks import engine
from landslide_lib.tasks.learner import Learner, Run, kept


class Classifier(nn.Module):
    """An encoder with a linear layer that tells images with a landslide from those without.

    Shape:
        (B, bands, S, S) to (B, 2), logits of none and some.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.num_features, 2)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.encoder(images))
        return logits


class Pretraining(Learner):
    """What masked autoencoding and the classifications share; see `Learner`."""

    recipe: recipes.Pretraining

    def encoder(self) -> nn.Module:
        """Build the encoder of the recipe."""
        recipe = self.recipe
        return encoder(recipe.encoder, len(self.means), recipe.image_size, tiny=recipe.tiny)

    def common(self, part: str) -> dict[str, Any]:
        """Return how the batches of a part are made; only `train` is shuffled and augmented."""
        training = part == "train"
        return {
            "bands": self.recipe.bands, "device": self.on, "shift": self.shift,
            "seed": self.seed if training else None,
            "augment": augment.compose(self.recipe.augmentation) if training else None,
            **(self.shares if training else {}),
        }  # fmt: skip

    def evaluated(self) -> dict[str, Any]:
        """Return what a record says of the scores on the test images."""
        raise NotImplementedError


class Masked(Pretraining):
    """Restoring masked patches; the score is the loss on held-out images."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        objective = self.recipe.objective
        assert isinstance(objective, recipes.encoders.Masked)
        self.network = autoencoder(
            self.encoder(), self.recipe.encoder, self.recipe.image_size, len(self.means),
            objective.masked,
        )  # fmt: skip

    def batches(self, part: str) -> Batches:
        """Return the batches of a part."""
        how = self.common(part)
        return Batches(self.packed, self.parts[part], self.recipe.batch, self.means, **how)

    def training_step(self, batch: tuple[Tensor, Tensor], step: int) -> Tensor:
        """Return the loss on the masked patches, other ones in each epoch."""
        generator = torch.Generator().manual_seed(
            (self.seed * 1_000_003 + self.current_epoch) * 100_003 + step
        )
        loss: Tensor = self.network(batch[0], generator).loss
        self._losses.append(loss.detach())
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], step: int) -> None:
        """Keep the loss; the same patches are masked in every epoch."""
        self._valid.append(self.network(batch[0], torch.Generator().manual_seed(step)).loss)

    @torch.no_grad()
    def evaluated(self) -> dict[str, Any]:
        """Return the loss on held-out images."""

        def outcome(part: str) -> Outcome:
            self.network.eval()
            losses, sizes = [], []
            for step, (images, _) in enumerate(self.batches(part)):
                made = self.network(images, torch.Generator().manual_seed(step))
                losses.append(float(made.loss))
                sizes.append(len(images))
            return Outcome(
                threshold=0.5,
                metrics={"pixels": {"loss": float(np.average(losses, weights=sizes))}},
            )

        valid, test = outcome("valid"), outcome("test")
        return {"test": test, "test_tuned": test, "valid": valid, "valid_tuned": valid,
                "test_counts": [], "histogram": [], "start": self.start}  # fmt: skip


class Presence(Pretraining):
    """Telling images, or crops, with a landslide from those without; alone or after a teacher."""

    def __init__(self, *given: Any, data_root: Path | None = None) -> None:
        super().__init__(*given)
        self.network = Classifier(self.encoder())
        self.teacher: nn.Module | None = None
        dataset = datasets.get(self.recipe.dataset)
        boxes = load_boxes(dataset, self.packed, self.recipe.image_size, root=data_root)
        self.crops: dict[str, Crops] = {
            part: examples(self.packed, indices, boxes) for part, indices in self.parts.items()
        }
        for part, crops in self.crops.items():
            if len(set(crops.label.tolist())) < 2:
                raise ValueError(
                    f"start: {self.recipe.dataset} has no {part} images of both kinds, with and "
                    "without a landslide; take more images (subset), or learn it on other data"
                )

    def teach(self, given: dict[str, Tensor], name: str) -> None:
        """Set a frozen teacher with the weights of its own run."""
        recipe = self.recipe
        teacher = encoder(name, len(self.means), recipe.image_size, tiny=recipe.tiny)  # type: ignore[arg-type]
        self.teacher = Classifier(teacher)
        self.teacher.load_state_dict(given)
        self.teacher.requires_grad_(False)

    def batches(self, part: str) -> CropBatches:
        """Return the batches of a part."""
        return CropBatches(
            self.packed, self.crops[part].image, self.recipe.batch, self.means,
            crops=self.crops[part], **self.common(part),
        )  # fmt: skip

    def losses(self, images: Tensor, labels: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of a batch: cross entropy, or with a teacher that of distillation."""
        if self.teacher is None:
            return F.cross_entropy(logits.float(), labels)
        what = self.recipe.objective
        assert isinstance(what, recipes.encoders.Distillation)
        self.teacher.eval()  # Lightning sets all of the module to train
        with torch.no_grad():
            soft = self.teacher(images)
        return distillation(logits, soft, labels, what.temperature, what.alpha)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        loss = self.losses(images, labels, self.network(images))
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        super().on_validation_epoch_start()
        self._counts = torch.zeros(4, dtype=torch.long)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Count a batch."""
        images, labels = batch
        logits = self.network(images)
        self._valid.append(self.losses(images, labels, logits))
        self._counts += counted(probability(logits), labels).sum(0)

    def scored(self) -> dict[str, float | None]:
        """Return the F1 of images with a landslide, at 0.5."""
        tp, fp, fn, _ = self._counts.tolist()
        f1 = float(scores.class_scores(tp, fp, fn)["f1"])
        return {"valid_f1": f1 if np.isfinite(f1) else None}

    @torch.no_grad()
    def evaluated(self) -> dict[str, Any]:
        """Return the scores of the examples of test, and what a teacher's student kept."""
        self.network.eval()

        def told(part: str) -> tuple[Tensor, Tensor]:
            pairs = [(probability(self.network(images)), labels)
                     for images, labels in self.batches(part)]  # fmt: skip
            return torch.cat([p for p, _ in pairs]), torch.cat([y for _, y in pairs])

        def outcome(counts: Tensor) -> Outcome:
            return Outcome(threshold=0.5, metrics={"tiles": scores.scores(counts)["pooled"]})

        valid, test = told("valid"), told("test")
        of_valid, of_test = counted(*valid), counted(*test)
        bins = (test[0] * 100).ceil().clamp(1, 100).long() - 1
        histogram = [torch.bincount(bins[test[1] == kind], minlength=100).tolist()
                     for kind in (1, 0)]  # fmt: skip
        return {
            "test": outcome(of_test), "test_tuned": outcome(of_test),
            "valid": outcome(of_valid), "valid_tuned": outcome(of_valid),
            "images": {part: len(crops.label) for part, crops in self.crops.items()},
            "test_ids": [self.packed.ids[i] for i in self.crops["test"].image],
            "test_groups": [self.packed.groups[i] for i in self.crops["test"].image],
            "test_counts": of_test.tolist(), "histogram": histogram, "start": self.start,
        }  # fmt: skip


@torch.no_grad()
def restored(
    recipe: recipes.Pretraining, packed: Packed, seed: int, weights: Path, on: torch.device
) -> tuple[Tensor, Restored]:
    """Return the first batch of test images and what a trained autoencoder makes of it.

    The patches are those that the test loss of the record was taken on.

    Args:
        recipe: Of a masked autoencoder.
        packed: The dataset at the recipe's image size.
        seed: Of its training.
        weights: As `Run.keep` has written them.
        on: The device.

    Returns:
        The images (B, C, S, S), and `Restored`; both in the dataset's own values.

    Raises:
        FileNotFoundError: The weights are not there.
        ValueError: They are those of another run, or damaged; the message names the file.
    """
    given = kept(weights, recipe, seed, packed.fingerprint)
    module = Masked(recipe, packed, seed, on)
    module.network.load_state_dict(given)
    module.to(on).eval()
    images, _ = next(iter(module.batches("test")))
    made = module.network(images, torch.Generator().manual_seed(0))
    means = module.means.to(on)
    shift = torch.zeros_like(means) if module.shift is None else module.shift.to(on)
    return images * means + shift, made._replace(restored=made.restored * means + shift)


def probability(logits: Tensor) -> Tensor:
    """Return the probability of a landslide, (B,)."""
    return logits.float().softmax(1)[:, 1].cpu()


def counted(found: Tensor, labels: Tensor) -> Tensor:
    """Return tp, fp, fn, tn of each example at 0.5, (B, 4) int64.

    >>> counted(torch.tensor([0.9, 0.9, 0.1]), torch.tensor([1, 0, 1])).tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    """
    called, true = found > 0.5, labels.cpu() == 1
    return torch.stack([called & true, called & ~true, ~called & true, ~called & ~true], 1).long()


class Learnt(Run[Pretraining]):
    """A pre-trained encoder, with what it learnt by."""

    def evaluated(self) -> dict[str, Any]:
        """Return what a record says of its scores."""
        return self.module.evaluated()


def train(
    recipe: recipes.Pretraining,
    packed: Packed,
    seed: int,
    work: Path,
    on: torch.device,
    grown: Sequence[tuple[Record, Path]] = (),
    data_root: Path | None = None,
) -> Learnt:
    """Train an encoder from its last checkpoint, or from its start.

    Args:
        recipe: What to train.
        packed: The dataset at the recipe's image size.
        seed: See `Learner`.
        work: The folder of this run's checkpoints.
        on: The device.
        grown: The record of the teacher and the file of its weights, for a distillation.
        data_root: In place of `LANDSLIDE_DATA`.

    Raises:
        ValueError: The images are all of one kind, so that there is nothing to tell apart.
        WeightsNotFoundError: The weights that the recipe starts from are not here.
        FloatingPointError: The loss has become NaN or infinite.
    """
    module: Pretraining
    if recipe.objective.name == "mae":
        module = Masked(recipe, packed, seed, on)
    else:
        module = Presence(recipe, packed, seed, on, data_root=data_root)
        for teacher, path in grown:
            assert isinstance(teacher.recipe, recipes.Pretraining)
            given = kept(path, teacher.recipe, seed, teacher.fingerprint)
            module.teach(given, teacher.recipe.encoder)
    if recipe.objective.start:
        seen = module.network.get_submodule("encoder")
        module.start = weights.begin(seen, recipe.objective.start, data_root=data_root)
    resumed = engine.fit(module, recipe, seed, work, on)
    module.to(on)
    return Learnt(module, resumed)

"""Masked autoencoders: an encoder learns by restoring patches that it does not see."""

import math
from typing import Any, NamedTuple

import torch
from timm.layers import LayerNorm2d, build_sincos2d_pos_embed  # type: ignore[attr-defined, unused-ignore]
from timm.models.swin_transformer import SwinTransformer, SwinTransformerStage
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Permute


class Restored(NamedTuple):
    """What an autoencoder made of a batch."""

    loss: Tensor  # (), float32, over the masked pixels
    restored: Tensor  # (B, C, S, S) float32, without gradient: the images, and what was made of their masked pixels
    mask: Tensor  # (B, 1, S, S) bool


def autoencoder(
    encoder: nn.Module, image_size: int, in_channels: int, masked: float, swin: str = "simmim"
) -> "Autoencoder":
    """Build the autoencoder of a ViT, a Swin or a convolutional network of timm, which stays its `encoder`.

    That of a Swin is `simmim` or `swin_mae`. The positions of a ViT are set to sines and cosines: load weights to start
    from afterwards. `masked` is the share of the patches that is masked, in 0..1, rounded to a number that leaves one
    masked and one visible. Raises ValueError: the image is no whole number of patches, or a single one.
    """
    if isinstance(encoder, VisionTransformer):
        return MAE(encoder, image_size, in_channels, masked)
    of_swin = SwinMAE if swin == "swin_mae" else SimMIM
    kind = of_swin if isinstance(encoder, SwinTransformer) else ConvolutionalSimMIM
    return kind(encoder, image_size, in_channels, masked)


class Autoencoder(nn.Module):
    """What the autoencoders share: which squares of `unit` pixels a side are masked, by a generator alone."""

    def __init__(self, encoder: nn.Module, unit: int, image_size: int, masked: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.unit, self.grid = unit, image_size // unit
        patches = self.grid**2
        if image_size % unit or patches < 2:
            raise ValueError(f"image_size {image_size} is no multiple of {unit}, the side of what is masked, above it")
        self.masked = min(max(math.floor(masked * patches + 0.5), 1), patches - 1)
        self.visible = patches - self.masked

    def shuffled(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the patches of each image in random order, (B, N); the first ones are visible."""
        # Drawn where the generator is: the same patches on any device.
        noise = torch.rand(len(images), self.grid**2, generator=generator, device=generator.device)
        return noise.argsort(dim=1, stable=True).to(images.device)

    def pixels(self, order: Tensor) -> Tensor:
        hidden = torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, self.visible :], True)
        hidden = hidden.view(-1, 1, self.grid, self.grid)
        return hidden.repeat_interleave(self.unit, 2).repeat_interleave(self.unit, 3)


class MAE(Autoencoder):
    """The masked autoencoder of a ViT: He and others 2022, arXiv:2111.06377.

    Only visible patches go through the encoder; a narrow decoder gets them with a learnt token in place of each masked
    one. The loss is the mean square error on the masked patches, each normalised by its own mean and standard
    deviation; `restored` borrows these two from the truth.

    We assume a decoder of two thirds of the encoder's width, in [128, 512] as a multiple of 64, and two to four blocks,
    one for every 128; the paper has 512 and eight for a ViT-Large. The encoder's positions are learnt from where they
    begin, as the detector learns them.
    """

    encoder: VisionTransformer
    positions: Tensor

    def __init__(self, encoder: VisionTransformer, image_size: int, in_channels: int, masked: float) -> None:
        patch = encoder.patch_embed.patch_size[0]
        super().__init__(encoder, patch, image_size, masked)
        with torch.no_grad():
            assert encoder.pos_embed is not None
            encoder.pos_embed[:, -(self.grid**2) :] = build_sincos2d_pos_embed([self.grid] * 2, encoder.embed_dim)
        width = min(max(2 * encoder.embed_dim // 3 // 64 * 64, 128), 512)
        self.narrow = nn.Linear(encoder.embed_dim, width)
        self.token = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("positions", build_sincos2d_pos_embed([self.grid] * 2, width), persistent=False)
        self.decoder = nn.Sequential(
            *(Block(width, width // 32, qkv_bias=True) for _ in range(min(max(width // 128, 2), 4))),
            nn.LayerNorm(width),
            nn.Linear(width, in_channels * patch**2),
        )
        for part in (self.narrow, *self.decoder.modules()):
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)

    def forward(self, images: Tensor, generator: torch.Generator) -> Restored:
        order = self.shuffled(images, generator)
        decoded = self._decode(self._encode(images, order[:, : self.visible]), order).float()

        truth = F.pixel_unshuffle(images.float(), self.unit).flatten(2).transpose(1, 2)
        mean, spread = truth.mean(2, keepdim=True), (truth.var(2, keepdim=True) + 1e-6).sqrt()
        error = torch.take_along_dim(decoded - (truth - mean) / spread, order[:, self.visible :, None], 1)

        pixels = (decoded.detach() * spread + mean).transpose(1, 2)
        pixels = F.pixel_shuffle(pixels.reshape(len(pixels), -1, self.grid, self.grid), self.unit)
        mask = self.pixels(order)
        return Restored(error.square().mean(), torch.where(mask, pixels, images.float()), mask)

    def _encode(self, images: Tensor, visible: Tensor) -> Tensor:
        """Return the tokens of the visible patches, after those of no patch."""
        encoder = self.encoder
        tokens = encoder._pos_embed(encoder.patch_embed(images))
        first, patches = tokens.tensor_split([encoder.num_prefix_tokens], 1)
        tokens = torch.cat([first, torch.take_along_dim(patches, visible[..., None], 1)], 1)
        return encoder.norm(encoder.blocks(encoder.norm_pre(tokens)))

    def _decode(self, tokens: Tensor, order: Tensor) -> Tensor:
        first, patches = self.narrow(tokens).tensor_split([self.encoder.num_prefix_tokens], 1)
        hidden = self.token.to(patches.dtype).expand(len(order), self.masked, -1)
        back = order.argsort(1)[..., None]
        patches = torch.take_along_dim(torch.cat([patches, hidden], 1), back, 1) + self.positions
        return self.decoder(torch.cat([first, patches], 1))[:, first.shape[1] :]


class SimMIM(Autoencoder):
    """The masked autoencoder of a Swin Transformer: Xie and others 2022, arXiv:2111.09886.

    All patches go through the encoder, a learnt token in place of the masked ones; one linear layer makes 32 x 32
    pixels of each cell of the last map. The loss is the mean absolute error on the masked pixels. Squares of 32 pixels
    are masked, of 16 where the image has 64 or fewer.
    """

    encoder: Any
    error = staticmethod(torch.abs)

    def __init__(self, encoder: Any, image_size: int, in_channels: int, masked: float) -> None:
        super().__init__(encoder, 16 if image_size <= 64 else 32, image_size, masked)
        self.token = self.first_token(encoder, in_channels)
        stride = encoder.feature_info[-1]["reduction"]
        self.head = nn.Sequential(nn.Conv2d(encoder.num_features, in_channels * stride**2, 1), nn.PixelShuffle(stride))

    def first_token(self, encoder: Any, in_channels: int) -> nn.Parameter:
        """Return what stands in place of a masked patch before it is learnt."""
        return nn.Parameter(0.02 * torch.randn(encoder.feature_info[0]["num_chs"]))

    def features(self, images: Tensor, mask: Tensor) -> Tensor:
        """Return the last map, (B, `num_features`, S / 32, S / 32), of images without their masked pixels."""
        encoder = self.encoder
        tokens = encoder.patch_embed(images)  # (B, S / 4, S / 4, width)
        patch = images.shape[-1] // tokens.shape[1]
        tokens = torch.where(mask[:, 0, ::patch, ::patch, None], self.token.to(tokens.dtype), tokens)
        return encoder.norm(encoder.layers(tokens)).permute(0, 3, 1, 2)

    def forward(self, images: Tensor, generator: torch.Generator) -> Restored:
        mask = self.pixels(self.shuffled(images, generator))
        decoded = self.head(self.features(images, mask)).float()

        error = self.error(decoded - images).mean(1, keepdim=True) * mask
        loss = error.sum() / (len(images) * self.masked * self.unit**2)
        return Restored(loss, torch.where(mask, decoded.detach(), images.float()), mask)


class SwinMAE(SimMIM):
    """Swin-MAE: Xu and others 2022, arXiv:2212.13805, as https://github.com/Zian-Xu/Swin-MAE has it.

    Windows of 4 x 4 patches are masked, a learnt token in place of each, as shifted windows need a whole grid. Each
    step of the decoder doubles the resolution, with as many blocks as the encoder's stage; one linear layer makes the
    pixels. The loss is the mean square error on masked pixels. To normalise them by patch is an option there, which is
    off, as in the notebook of the detection report.
    """

    error = staticmethod(torch.square)

    def __init__(self, encoder: Any, image_size: int, in_channels: int, masked: float) -> None:
        Autoencoder.__init__(self, encoder, 16, image_size, masked)
        self.token = self.first_token(encoder, in_channels)
        steps: list[nn.Module] = []
        for stage in reversed(encoder.layers[:-1]):
            block = stage.blocks[0]
            wide, size = block.dim, stage.output_resolution
            like = {"num_heads": block.attn.num_heads, "window_size": block.window_size, "downsample": False}
            steps += [nn.ConvTranspose2d(2 * wide, wide, 2, 2, bias=False), LayerNorm2d(wide), Permute([0, 2, 3, 1])]
            steps += [SwinTransformerStage(wide, wide, size, stage.depth, **like), Permute([0, 3, 1, 2])]
        patch = encoder.patch_embed.patch_size[0]
        steps += [LayerNorm2d(wide), nn.Conv2d(wide, in_channels * patch**2, 1), nn.PixelShuffle(patch)]
        self.head = nn.Sequential(*steps)


class ConvolutionalSimMIM(SimMIM):
    """The same for a convolutional network, in whose images a learnt colour stands in place of masked pixels."""

    def first_token(self, encoder: Any, in_channels: int) -> nn.Parameter:
        return nn.Parameter(torch.zeros(in_channels, 1, 1))

    def features(self, images: Tensor, mask: Tensor) -> Tensor:
        features: Tensor = self.encoder.forward_features(torch.where(mask, self.token.to(images.dtype), images))
        return features

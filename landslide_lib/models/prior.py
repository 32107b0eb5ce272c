"""How a network of rare things begins: with what is known before an image is seen."""

import math

from torch import nn


def init_logit_bias(network: nn.Module, share: float) -> None:
    """Set the bias of the layer of logits to the log odds of a share.

    With a bias of zero, all that a network learns at first is that nearly no pixel is landslide, in every one of its
    last channels. Those end in a ReLU, so that on landslides they are silent, and the highest logit is the bias: no
    probability above one half, until long training undoes it.

    Args:
        network: With one convolution of one channel, which makes the logits; changed in place.
        share: Of landslide among the pixels to train on, above 0 and below 1.

    Reference: Lin and others 2017, Focal loss, arXiv:1708.02002, section 3.3.

    >>> layer = nn.Conv2d(4, 1, 1)
    >>> init_logit_bias(nn.Sequential(nn.Conv2d(3, 4, 1), layer), share=0.2)
    >>> layer.bias.sigmoid()
    tensor([0.2000], grad_fn=<SigmoidBackward0>)
    """
    (layer,) = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.out_channels == 1]
    nn.init.constant_(layer.bias, math.log(share / (1 - share)))  # type: ignore[arg-type]

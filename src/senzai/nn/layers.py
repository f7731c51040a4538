"""Small pieces that encoders and decoders share: activations, normalisation, weight initialisation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from ..core.errors import SettingError
from ..core.registry import Registry
from .products import Linear


class XTanh(nn.Module):
    """The hyperbolic tangent with a slope that never vanishes, ``tanh(x) + x / 10``, so that it can be undone."""

    def forward(self, x: Tensor) -> Tensor:
        """Return it of each number."""
        return torch.tanh(x) + 0.1 * x


ACTIVATIONS: Registry[Callable[[], nn.Module]] = Registry("activation")
for _name, _cls in {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "glu": nn.GLU,
    "xtanh": XTanh,
}.items():
    ACTIVATIONS.add(_name)(_cls)

NORMS: Registry[Callable[[int], nn.Module]] = Registry("normalisation")
NORMS.add("none")(lambda width: nn.Identity())
NORMS.add("layer")(nn.LayerNorm)

_SATURATING = (nn.Tanh, nn.Sigmoid)


def check_dropout(dropout: float) -> None:
    """Refuse a share of dropped units that is outside [0, 1)."""
    if not 0.0 <= dropout < 1.0:
        raise SettingError(f"`0 <= dropout < 1` must hold, but got dropout={dropout!r}. Use 0 to switch it off.")


def halves(activation: str) -> int:
    """Return how many inputs an activation turns into one: two for gated units, ``a * sigmoid(b)``, else one.

    Reference:
        Language Modeling with Gated Convolutional Networks (Dauphin et al., 2017). https://arxiv.org/abs/1612.08083
    """
    return 2 if ACTIVATIONS[activation] is nn.GLU else 1


def hidden_layers(
    n_in: int, hidden: tuple[int, ...], *, activation: str = "relu", dropout: float = 0.0, norm: str = "none"
) -> nn.Sequential:
    """Return linear → normalisation → activation → dropout for each hidden width; nothing after the last one.

    Raises:
        SettingError: ``dropout`` is outside [0, 1).
        UnknownNameError: The activation or normalisation is not registered.
    """
    check_dropout(dropout)
    if n_in < 1:
        raise SettingError(f"A network has at least one input, but got {n_in!r}. Give the width of what enters it.")
    if any(width < 1 for width in hidden):
        raise SettingError(f"Hidden layers have at least one unit, but got hidden={hidden!r}. Give widths from 1 up.")
    layers: list[nn.Module] = []
    for a, b in pairwise((n_in, *hidden)):
        wide = b * halves(activation)
        layers += [Linear(a, wide), NORMS[norm](wide), ACTIVATIONS[activation](), nn.Dropout(dropout)]
    layers = [m for m in layers if not isinstance(m, nn.Identity) and not (isinstance(m, nn.Dropout) and m.p == 0)]
    net = nn.Sequential(*layers)
    initialise_weights(net, activation)
    return net


def initialise_weights(net: nn.Module, activation: str) -> None:
    """He initialisation before rectifiers, Xavier before saturating activations; biases zero.

    Reference:
        Delving Deep into Rectifiers (He et al., 2015). https://arxiv.org/abs/1502.01852
        Understanding the difficulty of training deep feedforward neural networks (Glorot and Bengio, 2010).
    """
    saturating = isinstance(ACTIVATIONS[activation](), _SATURATING)
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            if saturating:
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def linear_out(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a last layer: Xavier weights, zero bias."""
    layer = Linear(n_in, n_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def calmed(layer: nn.Linear) -> nn.Linear:
    """Return a last layer with a tenth of its weights.

    Where means and scales of latents come from it: those of data may start with any size, but latents do not exist yet,
    and would begin with scales that make gradients so large that Adam takes small steps for a thousand of them.
    """
    with torch.no_grad():
        layer.weight.mul_(0.1)
    return layer


def skips(n_in: int, widths: tuple[int, ...], activation: str) -> nn.ModuleList:
    """Return linear ways from the latents to hidden layers of these widths, the last one without an activation.

    Reference:
        Avoiding Latent Variable Collapse with Generative Skip Models (Dieng et al., 2019).
        https://arxiv.org/abs/1807.04863
    """
    last = len(widths) - 1
    wide = [w if i == last else w * halves(activation) for i, w in enumerate(widths)]
    return nn.ModuleList(linear_out(n_in, w, bias=False) for w in wide)


def bounded(net: nn.Module) -> None:
    """Divide every weight of ``net`` by its largest singular value, followed by power iteration in training.

    Reference:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018).
        https://arxiv.org/abs/1802.05957
    """
    for module in list(net.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.utils.parametrizations.spectral_norm(module)


def size_of(event: tuple[int, ...]) -> int:
    """Return how many numbers one event has."""
    return prod(event)


def with_condition(z: Tensor, c: Tensor | None) -> Tensor:
    """Append a condition ``(B, n_condition)`` to ``(*lead, B, n)``."""
    if c is None:
        return z
    return torch.cat([z, c.to(z.dtype).expand(*z.shape[:-1], c.shape[-1])], dim=-1)

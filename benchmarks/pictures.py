"""Pictures of 32 x 32 pixels at equal seconds of one thread, beside a hand-written loop and pythae's ResNet.

What counts is the processor's time of the process, so that a busy machine is fair. Everybody gets the same rows, one
thread, 32 latents and as many seconds; senzai runs at its own settings with the steps that fit (measured on ten steps
before), the others train at a constant rate of 1e-3 with 64 rows a step. The hand-written loop has senzai's network of
plain layers, as people write it, and the squared error with its best scale (sigma-VAE).

Squared errors are of pixels from 0 to 1. Log-likelihoods are one-draw bounds in bits per number on held-out pictures:
senzai's under its own likelihood; the others, which have a squared error and no likelihood of pixels, under the
discretised logistic distribution about their means with the scale that is best on training rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .common import need_data

BUDGETS, N_LATENT, HELD, ROWS = (10, 25, 60), 32, 500, 64
Pixels = np.ndarray[Any, Any]
Again = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From pictures in [0, 1], channels first, to their reconstructions and their rates."""


def cifar10() -> tuple[Pixels, Pixels]:
    """Ten thousand photographs of CIFAR-10, and 500 more."""
    with np.load(need_data("cifar10/cifar10_10k.npz")) as file:
        return file["x_train"], file["x_test"][:HELD]


def faces() -> tuple[Pixels, Pixels]:
    """Ten thousand drawn faces, and 500 more."""
    from senzai.data.faces import factors_of, render

    drawn = render(factors_of(range(10_000 + HELD)), 32)
    return drawn[:-HELD], drawn[-HELD:]


def fashion() -> tuple[Pixels, Pixels]:
    """Ten thousand pieces of clothing, grey, with a margin of two pixels, and 500 more."""
    import gzip

    found = []
    for part, n in (("train", 10_000), ("t10k", HELD)):
        with gzip.open(need_data(f"fashion_mnist/{part}-images-idx3-ubyte.gz")) as file:
            rows = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:n]
        found.append(np.pad(rows, ((0, 0), (2, 2), (2, 2)))[..., None])
    return found[0], found[1]


SETS: dict[str, Callable[[], tuple[Pixels, Pixels]]] = {"cifar10": cifar10, "faces": faces, "fashion_mnist": fashion}


def tensors(x: Pixels) -> Tensor:
    """Return pictures in [0, 1], channels first."""
    return torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2).float() / 255


def judged(again: Again, train: Pixels, held: Pixels) -> dict[str, float]:
    """Return squared error and bits per number of a model without a likelihood of pixels."""
    from senzai.distributions.logistic import discretised_logistic_log_prob

    with torch.no_grad():
        torch.manual_seed(0)
        fitted, (means, rates) = again(tensors(train[:HELD]))[0], again(tensors(held))

        def bits(x: Pixels, about: Tensor, scale: float) -> Tensor:
            levels, at = tensors(x) * 255, 2 * about.clamp(0, 1) - 1
            return -discretised_logistic_log_prob(levels, at, torch.tensor(scale), 256).flatten(1).sum(1)

        scales = [0.01 * 1.15**i for i in range(30)]
        best = min(scales, key=lambda s: float(bits(train[:HELD], fitted, s).mean()))
        nats = bits(held, means, best) + rates
    return {
        "squared_error": float((means.clamp(0, 1) - tensors(held)).square().mean()),
        "bits_per_dim": float(nats.mean()) / (math.log(2) * held[0].size),
        "rate": float(rates.mean()),
    }


# --- the three --------------------------------------------------------------------------------------------------------
def ours(train: Pixels, held: Pixels, budgets: tuple[float, ...]) -> dict[str, Any]:
    """senzai at its own settings, trained anew for each budget."""
    import senzai

    def trained(steps: int) -> tuple[Any, float]:
        began = time.process_time()
        run = senzai.fit(train, settings={"steps": steps, "sampler": "none"}, progress=False)
        return run, time.process_time() - began

    trained(2)  # what is loaded once
    first, second = trained(5)[1], trained(25)[1]
    per_step, before = max(1e-4, (second - first) / 20), max(0.0, first - 5 * (second - first) / 20)
    found = {}
    for seconds in budgets:
        run, spent = trained(max(5, int((seconds - before) / per_step)))
        bound = float(run.log_likelihood(held, k=1).mean())
        made = np.asarray(run.reconstruct(held), dtype=np.float64)
        found[str(seconds)] = {
            "seconds": spent, "steps": run.metrics["fit"]["steps"],
            "squared_error": float(np.square((made - held) / 255).mean()),
            "bits_per_dim": -bound / (math.log(2) * held[0].size),
            "parameters": sum(p.numel() for p in run.model.parameters()),
        }
    return found


class Plain(nn.Module):
    """A network like senzai's in plain layers, as people write it: space-to-depth stem, strides, nearest upsampling."""

    def __init__(self, channels: int) -> None:
        super().__init__()

        def block(a: int, b: int, stride: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(max(1, b // 16), b), nn.SiLU()]

        self.encode = nn.Sequential(
            nn.PixelUnshuffle(2), *block(4 * channels, 32), *block(32, 32), *block(32, 64, 2), *block(64, 64),
            *block(64, 128, 2), *block(128, 128), nn.Flatten(), nn.Linear(2048, 256), nn.SiLU(),
            nn.Linear(256, 2 * N_LATENT),
        )
        up = nn.Upsample(scale_factor=2)
        self.decode = nn.Sequential(
            nn.Linear(N_LATENT, 2048), nn.SiLU(), nn.Unflatten(1, (128, 4, 4)), *block(128, 128), up, *block(128, 64),
            *block(64, 64), up, *block(64, 32), *block(32, 32), nn.Conv2d(32, 4 * channels, 3, 1, 1),
            nn.PixelShuffle(2), nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return reconstruction, mean and log variance."""
        mean, log_var = self.encode(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        return self.decode(z), mean, log_var


def rate_of(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL to the standard normal, of each row."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def sigma_loss(x: Tensor, made: Tensor, rate: Tensor) -> Tensor:
    """Squared error with its best scale, and the rate: the mean over rows."""
    d = x[0].numel()
    error = (x - made).square().flatten(1).sum(1)
    return 0.5 * d * error.mean().div(d).clamp_min(1e-6).log() + rate.mean()


def by_hand(train: Pixels, held: Pixels, budgets: tuple[float, ...]) -> dict[str, Any]:
    """The hand-written loop."""
    torch.manual_seed(0)
    model = Plain(train.shape[-1])

    def loss(x: Tensor) -> Tensor:
        made, mean, log_var = model(x)
        return sigma_loss(x, made, rate_of(mean, log_var))

    def again(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = model.encode(x).chunk(2, 1)
        return model.decode(mean), rate_of(mean, log_var)

    return raced(model, loss, again, train, held, budgets)


def pythae(train: Pixels, held: Pixels, budgets: tuple[float, ...]) -> dict[str, Any]:
    """pythae's VAE on its ResNet, with its own loss (squared error and rate)."""
    from pythae.data.datasets import DatasetOutput
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.cifar.resnets import Decoder_ResNet_AE_CIFAR, Encoder_ResNet_VAE_CIFAR

    torch.manual_seed(0)
    config = VAEConfig(input_dim=(3, 32, 32), latent_dim=N_LATENT)
    model = VAE(config, encoder=Encoder_ResNet_VAE_CIFAR(config), decoder=Decoder_ResNet_AE_CIFAR(config))
    grey = train.shape[-1] == 1

    def coloured(x: Tensor) -> Tensor:
        return x.expand(-1, 3, -1, -1) if grey else x

    def loss(x: Tensor) -> Tensor:
        return model(DatasetOutput(data=coloured(x))).loss

    def again(x: Tensor) -> tuple[Tensor, Tensor]:
        seen = model.encoder(coloured(x))
        made = model.decoder(seen.embedding).reconstruction
        return (made.mean(1, keepdim=True) if grey else made), rate_of(seen.embedding, seen.log_covariance)

    return raced(model, loss, again, train, held, budgets)


def raced(
    model: nn.Module, loss: Callable[[Tensor], Tensor], again: Again, train: Pixels, held: Pixels,
    budgets: tuple[float, ...],
) -> dict[str, Any]:
    """Train with Adam, and judge at each budget; judging is not counted."""
    x, optimiser, found, spent, steps = tensors(train), torch.optim.Adam(model.parameters(), 1e-3), {}, 0.0, 0
    for seconds in budgets:
        model.train()
        began = time.process_time()
        while spent + time.process_time() - began < seconds:
            optimiser.zero_grad()
            loss(x[torch.randint(len(x), (ROWS,))]).backward()
            optimiser.step()
            steps += 1
        spent += time.process_time() - began
        model.eval()
        parameters = sum(p.numel() for p in model.parameters())
        found[str(seconds)] = {"seconds": spent, "steps": steps, **judged(again, train, held), "parameters": parameters}
    return found


def measure(names: tuple[str, ...], *, quick: bool = False) -> dict[str, Any]:
    """Race on each set."""
    torch.set_num_threads(1)
    budgets = (3,) if quick else BUDGETS
    found: dict[str, Any] = {"what": (__doc__ or "").strip(), "sets": {}}
    for name in names or tuple(SETS):
        train, held = SETS[name]()
        found["sets"][name] = {}
        for who, race in {"senzai": ours, "by hand": by_hand, "pythae": pythae}.items():
            found["sets"][name][who] = race(train, held, budgets)
            for seconds, one in found["sets"][name][who].items():
                print(f"{name} {who:8} {seconds:>3} s: squared error {one['squared_error']:.4f}, "
                      f"{one['bits_per_dim']:.3f} bits, {one['steps']} steps", flush=True)
    return found

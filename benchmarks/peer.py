"""The peer, pythae 0.1.2, used as its documentation shows, on the same bits and the same architecture."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

EVALUATE_ROWS = 10_000


def new_model(n_latent: int = 16) -> Any:
    """Return pythae's VAE with its default MLP networks, 784-512-16."""
    from pythae.models import VAE, VAEConfig

    torch.manual_seed(0)
    return VAE(VAEConfig(input_dim=(784,), latent_dim=n_latent, reconstruction_loss="bce"))


def train(
    x: np.ndarray, *, epochs: int, batch_size: int = 100, lr: float = 1e-3,
    after_epoch: Callable[[Any, float], bool] | None = None,
) -> tuple[Any, float]:
    """Train; return the model and the seconds of its training loop, without what ``after_epoch`` takes.

    ``after_epoch(model, seconds since the call)`` may return True to stop.
    """
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    model = new_model()
    start = time.perf_counter()
    outside = began = ended = 0.0

    class Stop(Exception):
        pass

    class Watch(TrainingCallback):
        def on_train_begin(self, training_config: Any, **kwargs: Any) -> None:
            nonlocal began
            began = time.perf_counter()

        def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
            nonlocal outside, ended
            now = ended = time.perf_counter()
            if after_epoch is not None and after_epoch(model, now - start - outside):
                raise Stop
            outside += time.perf_counter() - now

    data = torch.from_numpy(x).float()
    with tempfile.TemporaryDirectory() as tmp, quiet():
        config = BaseTrainerConfig(
            output_dir=tmp, num_epochs=epochs, learning_rate=lr, per_device_train_batch_size=batch_size,
            optimizer_cls="Adam", steps_saving=None,
        )
        dataset = BaseDataset(data, torch.zeros(len(data)))
        trainer = BaseTrainer(model=model, train_dataset=dataset, training_config=config, callbacks=[Watch()])
        with contextlib.suppress(Stop):
            trainer.train()
    return model, ended - began - outside


@torch.no_grad()
def negative_elbo(model: Any, x: np.ndarray, seed: int = 0) -> float:
    """Return the mean one-sample negative ELBO in nats of pythae's encoder and decoder, with the closed-form rate."""
    model.eval()
    total = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for i in range(0, min(len(x), EVALUATE_ROWS), 1000):
            rows = torch.from_numpy(x[i : i + 1000]).float()
            out = model.encoder(rows)
            mean, log_var = out.embedding, out.log_covariance
            z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
            p = model.decoder(z).reconstruction.reshape(len(rows), -1)
            distortion = torch.nn.functional.binary_cross_entropy(p, rows, reduction="none").sum(1)
            rate = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
            total += float((distortion + rate).sum())
    model.train()
    return total / min(len(x), EVALUATE_ROWS)


def nll_seconds_per_image(model: Any, x: np.ndarray, *, n_images: int, k: int = 5000) -> float:
    """Return the seconds per image that ``get_nll`` takes for ``k`` draws."""
    rows = torch.from_numpy(x[:n_images]).float()
    start = time.perf_counter()
    with quiet():
        model.get_nll(rows, n_samples=k, batch_size=100)
    return (time.perf_counter() - start) / n_images


@contextlib.contextmanager
def quiet() -> Any:
    """Silence what the peer prints."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)

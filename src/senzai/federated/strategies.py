"""Flower's strategies by name, and the part of their state that a restarted server needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp.strategy import (
    DifferentialPrivacyServerSideFixedClipping,
    FedAdam,
    FedAvg,
    FedProx,
    FedTrimmedAvg,
    Strategy,
)

from ..core.errors import SettingError
from ..core.extras import need
from .grids import Wire
from .settings import Federation
from .wire import Tensors

KEPT = ("m_t", "v_t")
"""What FedAdam keeps between rounds."""
ORDERS = [1 + x / 10 for x in range(1, 100)] + [float(x) for x in range(12, 512)]


def strategy_of(settings: Federation) -> Strategy:
    """Return the strategy that the settings name."""
    told = settings.told
    common: dict[str, Any] = {
        "fraction_train": 1.0, "fraction_evaluate": 0.0, "min_train_nodes": settings.min_sites,
        "min_available_nodes": settings.min_sites, "weighted_by_key": "num-examples",
    }
    made: Strategy
    if settings.strategy == "fedprox":
        made = FedProx(proximal_mu=told["mu"], **common)
    elif settings.strategy == "fedadam":
        made = FedAdam(eta=told["eta"], beta_1=told["beta1"], beta_2=told["beta2"], tau=told["tau"], **common)
    elif settings.strategy == "trimmed-mean":
        if not 0 <= told["trim"] < 0.5:
            raise SettingError(f"trim is the share cut off at each end, 0 to below 0.5, but got {told['trim']}.")
        made = FedTrimmedAvg(beta=told["trim"], **common)
    else:
        made = FedAvg(**common)
    if settings.noise is not None:
        assert isinstance(settings.bound, float)  # the settings see to it
        made = DifferentialPrivacyServerSideFixedClipping(made, settings.noise, settings.bound, settings.min_sites)
    return made


def averaged(strategy: Strategy, wire: Wire, weights: Tensors, number: int, timeout: float) -> Tensors | None:
    """Return the weights after a round of a strategy; ``None`` where no site's update could be used."""
    arrays = ArrayRecord({k: _array(v) for k, v in weights.items()})
    messages = strategy.configure_train(number, arrays, ConfigRecord(), wire)
    replies = list(wire.send_and_receive(messages, timeout=timeout))
    if not replies:
        return None
    found, _ = strategy.aggregate_train(number, replies)
    if found is None:
        return None
    return {k: torch.from_numpy(np.array(found[k].numpy())).to(v.dtype) for k, v in weights.items()}


def _array(value: torch.Tensor) -> Any:
    from flwr.app import Array

    return Array(value.detach().cpu().contiguous().numpy())


def state_of(strategy: Strategy) -> Tensors:
    """Return what a strategy keeps between rounds."""
    found: Tensors = {}
    for name in KEPT:
        held = getattr(strategy, name, None)
        found |= {f"{name}.{k}": torch.from_numpy(np.array(v)) for k, v in (held or {}).items()}
    return found


def restore(strategy: Strategy, tensors: Tensors) -> None:
    """Put back what :func:`state_of` gave."""
    for name in KEPT:
        held = {k.partition(".")[2]: v.numpy() for k, v in tensors.items() if k.startswith(f"{name}.")}
        if held:
            setattr(strategy, name, held)


def epsilon(settings: Federation, rounds: int) -> float | None:
    """Return ε for whole sites after some rounds in which every site took part.

    The mean of m updates of at most ``bound`` moves by bound / m when a site is taken out or put in, and the noise has
    ``noise`` times bound / min_sites ≥ bound / m: Gaussian mechanisms of that multiplier, composed in Rényi orders
    by Opacus (Mironov 2017). ``None`` without noise. Counts that made the schema are not in it.

    Example:
        >>> round(epsilon(Federation.parse({"noise": 10.0, "bound": 1.0}), 1), 2)
        0.38
    """
    if settings.noise is None:
        return None
    rdp = need("opacus.accountants.analysis.rdp", extra="private", to="account for privacy")
    spent = rdp.compute_rdp(q=1.0, noise_multiplier=settings.noise, steps=rounds, orders=ORDERS)
    found, _ = rdp.get_privacy_spent(orders=ORDERS, rdp=spent, delta=settings.delta)
    return float(found)

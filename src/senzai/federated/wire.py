"""What crosses between server and sites: tensors as safetensors, everything else as JSON; nothing is unpickled.

A message of Flower's carries one record of settings, ``senzai``, with text and bytes. Flower writes it as protobuf.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..core import errors
from ..core.errors import InputError, SenzaiError, SettingError
from ..core.plugins import version_of

if TYPE_CHECKING:
    from flwr.app import Message, RecordDict

PROTOCOL = 2
"""What both sides must speak; a change of what crosses raises it."""
RUN, TASK = 1, 1
RECORD = "senzai"
OUTLINE, TALLY, TRAIN, DONE = "query.outline", "query.tally", "train", "query.done"

Tensors = dict[str, Tensor]


def record(body: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> RecordDict:
    """Return the content of a message."""
    from flwr.app import ConfigRecord, RecordDict

    told = {"protocol": PROTOCOL, "senzai": version_of("senzai") or "unknown", **body}
    held: dict[str, Any] = {"json": json.dumps(told)}
    if tensors is not None:
        held["safetensors"] = to_bytes(tensors)
    return RecordDict({RECORD: ConfigRecord(held)})


def read(message: Message, *, who: str) -> tuple[dict[str, Any], Tensors | None, int]:
    """Return what a message says, its tensors, and how many bytes that was.

    Raises:
        InputError: It is none of this protocol.
    """
    try:
        held = message.content.config_records[RECORD]
        text, data = held["json"], held.get("safetensors")
        body = json.loads(str(text))
    except (KeyError, ValueError) as err:
        raise InputError(f"{who} must speak the protocol of senzai federate, but sent something else ({err}).") from err
    if not isinstance(body, dict) or body.get("protocol") != PROTOCOL:
        theirs = body.get("protocol") if isinstance(body, dict) else None
        raise InputError(
            f"Server and sites must speak one version of the protocol, but {who} speaks {theirs} "
            f"(senzai {body.get('senzai') if isinstance(body, dict) else 'unknown'}) and this side {PROTOCOL} "
            f"(senzai {version_of('senzai')}). Install the same version of senzai on both sides."
        )
    size = len(str(text)) + (len(data) if isinstance(data, bytes) else 0)
    return body, None if data is None else from_bytes(data, who=who), size


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return tensors as the bytes of a safetensors file."""
    return bytes(save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}))


def from_bytes(data: object, *, who: str) -> Tensors:
    """Return the tensors in the bytes of a safetensors file.

    Raises:
        InputError: They are damaged.

    Example:
        >>> from_bytes(to_bytes({"w": torch.ones(2)}), who="a site")["w"].tolist()
        [1.0, 1.0]
    """
    try:
        if not isinstance(data, bytes):
            raise ValueError(f"they are {type(data).__name__}")
        return dict(load(data))
    except (SafetensorError, ValueError) as err:
        raise InputError(f"{who} must send tensors as safetensors, but they cannot be read ({err}).") from err


def failure(err: SenzaiError) -> dict[str, Any]:
    """Return what a site answers where something of its user's cannot work."""
    return {"error": str(err), "type": type(err).__name__}


def raise_told(body: Mapping[str, Any], *, who: str) -> None:
    """Raise what the other side could not do."""
    if "error" in body:
        known = getattr(errors, str(body.get("type")), SenzaiError)
        kind = known if isinstance(known, type) and issubclass(known, SenzaiError) else SenzaiError
        raise kind(f"{who}: {body['error']}")


# --- parameters -----------------------------------------------------------------------------------------------------
def crossing(model: nn.Module, own: tuple[str, ...]) -> Tensors:
    """Return what of a model crosses: all parameters and running statistics but those that are a site's own.

    Raises:
        SettingError: A beginning that is to stay fits no name, or nothing would be left.
    """
    every = model.state_dict()
    for start in own:
        if not any(is_own(name, (start,)) for name in every):
            groups = sorted({name.partition(".")[0] for name in every})
            raise SettingError(
                f"own names parameters that stay at a site by how they begin, but none begins with {start!r}. "
                f"They begin with {', '.join(groups)}."
            )
    found = {k: v for k, v in every.items() if v.is_floating_point() and not is_own(k, own)}
    if not found:
        raise SettingError(f"Something must be learned together, but own={','.join(own)} keeps every parameter.")
    return found


def is_own(name: str, own: tuple[str, ...]) -> bool:
    """Whether a parameter stays at its site.

    Example:
        >>> is_own("prior.loc", ("prior",)), is_own("prior_2.loc", ("prior",)), is_own("prior", ("prior",))
        (True, False, True)
    """
    return any(name == start or name.startswith(f"{start}.") for start in own)


def put(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors that crossed into a model; what did not cross stays."""
    if any(v.dtype == torch.float64 for v in tensors.values()):
        model.double()
    state = model.state_dict()
    for name, value in tensors.items():
        state[name].copy_(value)


def checked(tensors: Tensors, like: Mapping[str, Tensor], *, who: str) -> Tensors:
    """Return tensors if they are those that were asked for: their names, shapes and dtypes, all of them finite.

    Raises:
        InputError: They are not.
    """
    if set(tensors) != set(like):
        some = sorted(set(tensors) ^ set(like))[:3]
        raise InputError(f"{who} must send the parameters that it got, but {', '.join(some)} are more or fewer.")
    for name, value in tensors.items():
        if value.shape != like[name].shape or value.dtype != like[name].dtype:
            raise InputError(
                f"{who} must send {name} as {tuple(like[name].shape)} of {like[name].dtype}, but sent "
                f"{tuple(value.shape)} of {value.dtype}."
            )
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{who} must send finite numbers, but {name} has others.")
    return tensors


def length(update: Mapping[str, Tensor]) -> float:
    """Return the Euclidean norm over all tensors."""
    return float(np.sqrt(sum(float(v.double().square().sum()) for v in update.values())))

"""Networks from a user's disk: what is in a folder or file, its hash, and what is refused because it could run code."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from ..core.extras import need

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
WEIGHTS, CONFIG = "*.safetensors", "config.json"
SMALL = (CONFIG, "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
CONFIG_BYTES = 2**20


@dataclass(frozen=True)
class Foreign:
    """A network on disk.

    Args:
        path: Where it is.
        form: ``transformers`` for a folder, ``onnx`` for a file.
        config: What its config.json says; empty for ONNX.
    """

    path: Path
    form: Literal["transformers", "onnx"]
    config: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The files that decide what it does: weights, configuration, processors."""
        if self.form == "onnx":
            return [self.path]
        return [*sorted(self.path.glob(WEIGHTS)), *(p for n in SMALL if (p := self.path / n).is_file())]

    @property
    def sha256(self) -> str:
        """Hash of the names and contents of its files."""
        whole = hashlib.sha256()
        for file in self.files:
            whole.update(file.name.encode() + b"\0")
            with open(file, "rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
        return whole.hexdigest()


def foreign(path: str | Path) -> Foreign:
    """Say what network lies at a path.

    Raises:
        InputError: Nothing does, it is no known form, or its weights are a pickle or a program.
    """
    where = Path(path).expanduser()
    if where.is_dir():
        return _folder(where)
    if not where.is_file():
        raise InputError(f"A network is a folder of transformers or an ONNX file, but nothing is at {str(where)!r}.")
    if where.suffix == ".onnx":
        need("onnxruntime", extra="export", to="run an ONNX file")
        return Foreign(where, "onnx", {})
    if zipfile.is_zipfile(where):
        with zipfile.ZipFile(where) as inside:
            script = any("/code/" in name for name in inside.namelist())
        what = "TorchScript, a program that would run here" if script else "a pickle, which could run code"
        raise InputError(f"{str(where)!r} is {what}. Export the network to ONNX, or save_pretrained it as safetensors.")
    raise InputError(
        f"A network is a folder of transformers with safetensors or an ONNX file, but {str(where)!r} is neither. "
        "Save it with save_pretrained(folder, safe_serialization=True)."
    )


def _folder(where: Path) -> Foreign:
    config = where / CONFIG
    if not list(where.glob(WEIGHTS)):
        pickled = sorted(p.name for p in where.iterdir() if p.suffix in PICKLES)
        why = f"its weights, {pickled[0]!r}, are a pickle, which could run code" if pickled else "it has none"
        raise InputError(
            f"The weights of a network are safetensors, but in {str(where)!r} {why}. "
            "Save it with save_pretrained(folder, safe_serialization=True)."
        )
    try:
        if config.stat().st_size > CONFIG_BYTES:
            raise ValueError(f"it is longer than {CONFIG_BYTES:,} bytes")
        known = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("it is no mapping")
    except (OSError, ValueError) as err:
        raise InputError(f"{str(config)!r} must describe the network, but does not: {err}.") from err
    if "auto_map" in known:
        raise InputError(f"{str(where)!r} comes with code of its own (auto_map), which is not run. Use another.")
    return Foreign(where, "transformers", known)


def unchanged(path: str | Path, sha256: str) -> Foreign:
    """Return the network at a path if it is the very one that a run was made with.

    Raises:
        InputError: It is gone, or it is another one.
    """
    found = foreign(path)
    if sha256 and found.sha256 != sha256:
        raise InputError(
            f"The run was made with the network {str(path)!r} of sha256 {sha256[:12]}…, but what is there now has "
            f"{found.sha256[:12]}…. Put the old one back, or fit again."
        )
    return found


@contextmanager
def offline() -> Iterator[None]:
    """Forbid transformers any download inside the block."""
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def network_of(found: Foreign) -> Any:
    """Return the network of a folder in evaluation mode, its weights frozen; nothing is downloaded."""
    auto = need("transformers", extra="pretrained", to="load a network from a folder")
    with offline():
        net = auto.AutoModel.from_pretrained(
            found.path, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    return net.eval().requires_grad_(False)


def tokenizer_of(found: Foreign) -> Any:
    """Return the tokenizer of a folder.

    Raises:
        InputError: It has none.
    """
    auto = need("transformers", extra="pretrained", to="load a tokenizer from a folder")
    if not (found.path / "tokenizer.json").is_file() and not (found.path / "vocab.txt").is_file():
        raise InputError(
            f"Sentences need a tokenizer beside the network, but {str(found.path)!r} has none. Save it there."
        )
    with offline():
        return auto.AutoTokenizer.from_pretrained(found.path, local_files_only=True, trust_remote_code=False)


def sentence_vectors(path: str | Path, sentences: Sequence[str], *, batch: int = 32) -> Any:
    """Return one vector for each sentence: the mean over its tokens of the last layer, of length one.

    Args:
        path: A folder of transformers with a text network and its tokenizer.
        sentences: What is encoded; longer ones are cut at what the network takes.
        batch: Sentences at a time.

    Returns:
        Float32 array ``(n, width)``.
    """
    import numpy as np
    import torch

    found = foreign(path)
    net, tokens = network_of(found), tokenizer_of(found)
    most = int(found.config.get("max_position_embeddings", 512))
    out = []
    for i in range(0, len(sentences), batch):
        piece = list(sentences[i : i + batch])
        some = tokens(piece, padding=True, truncation=True, max_length=most, return_tensors="pt")
        with torch.no_grad():
            last = net(**some).last_hidden_state
        seen = some["attention_mask"].unsqueeze(-1).to(last.dtype)
        mean = (last * seen).sum(1) / seen.sum(1).clamp_min(1)
        out.append(torch.nn.functional.normalize(mean, dim=-1))
    return torch.cat(out).numpy().astype(np.float32)

"""An outside package: sentences, one a line, of any number of words; a recurrent encoder and decoder of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.core.files import write_text
from senzai.core.spec import part
from senzai.data import KINDS, Choice, Kind, Opened, Options, Proposal, Rows, Schema
from senzai.data.fingerprint import of_array
from senzai.data.kind import Claim
from senzai.data.rows import MemoryRows
from senzai.data.schema import Axis, Field, Frozen
from senzai.nn.inputs import Decoder, Encoder

END, RARE = "</s>", "<rare>"


class SentenceOptions(Options):
    """How many words are told apart."""

    max_words: int = 1000


class SentenceDetails(Frozen):
    """The words by their code; the first one ends a sentence, the second stands for those that are rare or new."""

    words: tuple[str, ...]


class Sentences(Kind):
    """Files and lists of sentences."""

    name: ClassVar[str] = "sentences"
    title: ClassVar[str] = "sentences, one a line: .sentences, lists of text"
    suffixes: ClassVar[tuple[str, ...]] = (".sentences",)
    options: ClassVar[type[Options]] = SentenceOptions
    details: ClassVar[type[SentenceDetails]] = SentenceDetails
    unit: ClassVar[str] = "token"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        if isinstance(source, str | Path) and Path(source).suffix in self.suffixes:
            return Claim(0.9, "its name ends in .sentences")
        texts = isinstance(source, list) and bool(source) and all(isinstance(s, str) for s in source)
        return Claim(0.8, "it is a list of text") if texts else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        lines = source if isinstance(source, list) else Path(str(source)).read_text(encoding="utf-8").splitlines()
        rows = [line.split() for line in lines]
        if not any(rows):
            raise InputError("Sentences must have words, but there are none. Give lines of text.")
        form = "list" if isinstance(source, list) else "file"
        return Opened(data=rows, n_rows=len(rows), dtype="str", form=form, origin=str(source)[:40])

    def infer(self, opened: Opened, options: Options) -> Schema:
        most = options.max_words if isinstance(options, SentenceOptions) else 1000
        counts = Counter(word for row in opened.data for word in row)
        words = (END, RARE, *(word for word, _ in counts.most_common(most)))
        size = 1 + max(map(len, opened.data))
        token = Field(axes=(Axis(name="token", size=size, ragged=True),), support="category", n_levels=len(words))
        return Schema(
            kind=self.name, fields={"x": token}, dtype="str", form=opened.form, n_rows=opened.n_rows,
            split=options.split, details=SentenceDetails(words=words), fingerprint=fingerprint(opened),
            reasons=(f"{len(words) - 2} words are told apart; the longest sentence has {size - 1}.",),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        size = schema.event_shape[0]
        if (longest := 1 + max(map(len, opened.data))) > size:
            raise InputError(f"A sentence has at most {size - 1} words here, but one has {longest - 1}. Shorten it.")
        return schema.but(n_rows=opened.n_rows, form=opened.form, fingerprint=fingerprint(opened))

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        code = {word: i for i, word in enumerate(words_of(schema))}
        x = torch.zeros(opened.n_rows, schema.event_shape[0])
        for i, row in enumerate(opened.data):
            x[i, : len(row)] = torch.tensor([float(code.get(word, 1)) for word in row])
        return MemoryRows(x, lengths=torch.tensor([1 + len(row) for row in opened.data]))

    def decode(self, x: Any, schema: Schema, *, soft: bool = False, about: Any = None) -> list[str]:
        words = words_of(schema)
        found = ([words[int(k)] for k in row] for row in x.round().clamp(0, len(words) - 1).tolist())
        return [" ".join(row[: row.index(END)] if END in row else row) for row in found]

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        write_text(path, "".join(f"{line}\n" for line in decoded))

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        return list(decoded)

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        return value

    def propose(self, schema: Schema) -> Proposal:
        n = {"n": len(words_of(schema))}
        return Proposal(
            likelihood=Choice("categorical", n), encoder=Choice("sentence", n), decoder=Choice("sentence"),
            training={"lr": 3e-3}, reason="Each token is one of the words.",
        )


def words_of(schema: Schema) -> tuple[str, ...]:
    assert isinstance(schema.details, SentenceDetails)
    return schema.details.words


def fingerprint(opened: Opened) -> str:
    import numpy as np

    return of_array(np.frombuffer("\n".join(" ".join(row) for row in opened.data).encode(), dtype=np.uint8))


@part("encoder", "sentence")
class SentenceEncoder(Encoder):
    """Words looked up, a recurrent network, and the mean of its states over the tokens that a row has."""

    def __init__(self, event: tuple[int, ...], n: int, *, width: int = 32, n_condition: int = 0) -> None:
        super().__init__()
        self.words = nn.Embedding(n, width)
        self.net = nn.GRU(width, width, batch_first=True)
        self.n_features = width + n_condition

    def forward(self, batch: Batch) -> Tensor:
        states, _ = self.net(self.words(batch.tensor.long()))
        if batch.lengths is not None:
            there = torch.arange(states.shape[1], device=states.device) < batch.lengths.unsqueeze(1)
            states = states * there.unsqueeze(-1)
        found = states.sum(1) / (states.shape[1] if batch.lengths is None else batch.lengths.unsqueeze(1))
        return found if batch.c is None else torch.cat([found, batch.c], -1)


@part("decoder", "sentence")
class SentenceDecoder(Decoder):
    """A recurrent network that is told the latents at every token."""

    def __init__(self, n_latent: int, raw_shape: tuple[int, ...], *, width: int = 32, n_condition: int = 0) -> None:
        super().__init__()
        self.raw_shape = tuple(raw_shape)
        self.net = nn.GRU(n_latent + n_condition, width, batch_first=True)
        self.out = nn.Linear(width, raw_shape[0])

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        told = z if c is None else torch.cat([z, c.expand(*z.shape[:-1], c.shape[-1])], -1)
        flat = told.reshape(-1, 1, told.shape[-1]).expand(-1, self.raw_shape[-1], -1)
        states, _ = self.net(flat)
        raw: Tensor = self.out(states).transpose(1, 2)
        return raw.reshape(*z.shape[:-1], *self.raw_shape)


KINDS.add("sentences")(Sentences())

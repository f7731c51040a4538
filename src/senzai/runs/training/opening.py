"""Data of a run, opened by all of its processes: where it takes long, one alone finds out what they are."""

from __future__ import annotations

from dataclasses import replace

from ...core.errors import InputError, SenzaiError
from ...data import KINDS, Dataset, Schema, open_data
from ...training.comms import Comms
from .requests import Request

FAILED = "\0"
"""What stands before an error instead of a schema."""


def opened(data: object, request: Request, comms: Comms) -> Dataset:
    """Return the data as this process reads them.

    Raises:
        InputError: They cannot be used, or this process sees others than the first one.
    """
    kind = KINDS[request.kind]
    if comms.world == 1 or not kind.infers_once(data):
        return open_data(data, kind=request.kind, options=request.data)
    if comms.is_main:
        try:
            found = open_data(data, kind=request.kind, options=request.data)
        except SenzaiError as err:
            comms.gather(f"{FAILED}{err}")
            raise
        comms.gather(found.schema.model_dump_json())
        return found
    told = comms.gather("")[0]
    if told.startswith(FAILED):
        raise InputError(told.removeprefix(FAILED))
    return _as_told(data, request, Schema.model_validate_json(told))


def _as_told(data: object, request: Request, schema: Schema) -> Dataset:
    """Return the data with the schema that another process found."""
    decided = KINDS[request.kind].options.decisions
    reading = {name: value for name, value in request.data.items() if name.partition(".")[0] not in decided}
    found = open_data(data, kind=request.kind, schema=schema, options=reading)
    if found.schema.fingerprint != schema.fingerprint:
        raise InputError(
            f"All processes of a run must read the same data, but this one has {found.schema.n_rows:,} rows "
            f"({found.schema.fingerprint}) and the first one {schema.n_rows:,} ({schema.fingerprint}). "
            "Give every machine the same shards under the same name."
        )
    return replace(found, schema=schema)

"""Runs on a hub (``huggingface_hub``): what goes there and what is taken from there, JSON and safetensors only.

Who may read or write is between the user and the hub: the token is the one that ``hf auth login`` keeps or
``HF_TOKEN`` holds. It is never an argument here, and no message repeats it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.errors import BundleError, InputError, OutputError, SenzaiError, UserError
from ..core.extras import need
from .addresses import HubAddress, repository
from .contents import BESIDE_ON_A_HUB, READ, check
from .packing import prepared

SECRET = re.compile(r"\bhf_\w{6,}|(?i:bearer)\s+\S+")
HIDDEN = "***"
SAID = 300
"""Characters of what a hub says that a message repeats."""


def fetch(address: HubAddress) -> Path:
    """Return a folder with the files of a run on the hub, which the hub's own cache keeps.

    The list of files is looked at first: where it names anything but a run, nothing is downloaded.

    Raises:
        BundleError: The repository holds other things than a run, or files that are larger than what is free.
        InputError: There is no such repository, or it may not be read.
        SenzaiError: The hub cannot be reached.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    hub = _package("load a run from a hub")
    with _told(address.name, InputError):
        if hub.is_offline_mode():
            kept = hub.snapshot_download(address.name, revision=address.revision, local_files_only=True)
            return Path(kept)
        info = _api(hub).model_info(address.name, revision=address.revision, files_metadata=True)
        sizes = {str(file.rfilename): _size(file) for file in info.siblings or ()}
        taken = check(sizes, str(address), more=BESIDE_ON_A_HUB)
        return _download(hub, address, str(info.sha), taken)


def _size(file: Any) -> int:
    """Return the announced size of a file; one that is not announced is none that could be taken."""
    return int(file.size) if isinstance(file.size, int) else -1


def _download(hub: Any, address: HubAddress, commit: str, taken: dict[str, int]) -> Path:
    """Download files of one commit; by the first, the cache learns which one the address means, for use offline."""
    folder = Path()
    for i, (name, size) in enumerate(taken.items()):
        revision = commit if i else address.revision or "main"
        file = Path(hub.hf_hub_download(address.name, name, revision=revision, endpoint=_endpoint()))
        if file.stat().st_size != size:
            raise BundleError(f"{name!r} of {address} was announced with {size:,} bytes, but has another size.")
        folder = file.parent
        if folder.name != commit:
            raise SenzaiError(f"{address} was changed while it was read. Load it again.")
    return folder


def push(folder: Path, name: str, *, card: str, public: bool = False, rows: bool = False) -> dict[str, Any]:
    """Put a run on the hub in one commit, and return where it is.

    Args:
        folder: The run.
        name: ``user/name``; a repository of this name is made if there is none.
        card: Its model card, Markdown.
        public: Whether a new repository can be read by everybody; one that is there stays as it is.
        rows: Also the training rows that the run keeps to compare others with.

    Returns:
        ``url``, ``commit``, ``files`` with their sizes.

    Raises:
        OutputError: The hub does not let this user write there.
        SenzaiError: The hub cannot be reached.
    """
    hub = _package("put a run on a hub")
    repository(name)
    with prepared(folder, rows=rows, card=card) as ready, _told(name, OutputError):
        files = {file.name: file.stat().st_size for file in sorted(ready.iterdir())}
        api = _api(hub)
        api.create_repo(name, private=not public, exist_ok=True)
        there = set(api.list_repo_files(name))
        steps: list[Any] = [hub.CommitOperationAdd(file, str(ready / file)) for file in files]
        steps += [hub.CommitOperationDelete(file) for file in READ if file in there and file not in files]
        done = api.create_commit(name, steps, commit_message="A senzai run")
    return {"url": f"{api.endpoint}/{name}", "commit": str(done.oid), "files": files}


def front_matter(recipe: str, kind: str) -> str:
    """Return the head of a card, by which a hub sorts models.

    Example:
        >>> print(front_matter("vae", "table"))
        ---
        library_name: senzai
        tags:
        - variational-autoencoder
        - generative-model
        - vae
        - table
        ---
        <BLANKLINE>
    """
    tags = "\n".join(f"- {tag}" for tag in dict.fromkeys(("variational-autoencoder", "generative-model", recipe, kind)))
    return f"---\nlibrary_name: senzai\ntags:\n{tags}\n---\n"


# --- asking ---------------------------------------------------------------------------------------------------------
def _package(to: str) -> Any:
    return need("huggingface_hub", extra="hub", to=to)


def _endpoint() -> str | None:
    """Return the hub to ask, where it is not the usual one; the package reads the variable once, when imported."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _api(hub: Any) -> Any:
    return hub.HfApi(endpoint=_endpoint(), library_name="senzai")


@contextmanager
def _told(name: str, error: type[UserError]) -> Iterator[None]:
    """Turn whatever the hub's package raises into an error of one sentence, without what is secret."""
    try:
        yield
    except SenzaiError:
        raise
    except Exception as err:  # its own classes, those of its transport, and of the operating system
        raise _error(err, name, error) from None  # a traceback would show the request


def _error(err: Exception, name: str, error: type[UserError]) -> SenzaiError:
    status = getattr(getattr(err, "response", None), "status_code", None)
    said = without_secrets(" ".join(str(err).split()))[:SAID]
    if status in (401, 403):
        return error(
            f"The hub must know who asks for {name!r}, but refused ({status}). Log in with `hf auth login`, or set "
            f"HF_TOKEN to a token that may. It said: {said}"
        )
    if status == 404 or type(err).__name__ in ("RepositoryNotFoundError", "RevisionNotFoundError"):
        return error(f"There must be a run {name!r} on the hub, but it has none, or none that you may see: {said}")
    if type(err).__name__ in ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "IncompleteSnapshotError"):
        return error(f"Offline (HF_HUB_OFFLINE), only runs load that were loaded before, but {name!r} was not: {said}")
    return SenzaiError(f"The hub could not be asked about {name!r} ({type(err).__name__}): {said} Try again later.")


def without_secrets(text: str, token: Callable[[], str | None] | None = None) -> str:
    """Return text without tokens: those that look like one, and the user's own.

    Example:
        >>> without_secrets("401 for Bearer abc and hf_abcdefgh", lambda: None)
        '401 for *** and ***'
    """
    mine = (token or _package("ask a hub").get_token)()
    return SECRET.sub(HIDDEN, text.replace(mine, HIDDEN) if mine else text)

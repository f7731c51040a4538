"""Errors as the server tells them: problem+json (RFC 9457), in the words of the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import (
    BundleError,
    MissingExtraError,
    OutputError,
    SenzaiError,
    UnknownNameError,
    UserError,
)

MEDIA = "application/problem+json"
TITLES: Mapping[int, str] = {
    400: "Bad request", 401: "Not allowed without a token", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 406: "No such form of answer", 408: "Too slow", 413: "Too large",
    415: "No such form of data", 422: "Cannot be done", 500: "A bug in senzai", 501: "Not installed",
    503: "Not now", 504: "Took too long", 507: "Cannot be written",
}


class RequestError(UserError):
    """A request that cannot be answered; the message says what to change.

    Args:
        message: The rule, what came, the way out.
        status: HTTP status.
        headers: Headers that belong to it.
    """

    def __init__(self, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


def status_of(err: BaseException) -> int:
    """Return the HTTP status of an error.

    Example:
        >>> from senzai.core.errors import InputError
        >>> status_of(InputError("")), status_of(RequestError("", 413)), status_of(KeyError())
        (422, 413, 500)
    """
    if isinstance(err, RequestError):
        return err.status
    ranks: tuple[tuple[type[BaseException], int], ...] = (
        (UnknownNameError, 422), (BundleError, 503), (MissingExtraError, 501), (OutputError, 507), (UserError, 422),
        (MemoryError, 503),
    )
    return next((status for kind, status in ranks if isinstance(err, kind)), 500)


def problem(err: BaseException, request_id: str = "") -> dict[str, Any]:
    """Return an error as a document.

    What is no error of the house is a bug; its text could hold data, so that only its type is told.
    """
    status = status_of(err)
    if isinstance(err, SenzaiError):
        detail = str(err)
    elif isinstance(err, MemoryError):
        detail = "There is not enough memory for this request. Send fewer rows, or ask again later."
    else:
        detail = f"This is a bug in senzai: {type(err).__name__}. Please report it with what was asked."
    made = {
        "type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail,
        "error": type(err).__name__,
    }
    return {**made, "request_id": request_id} if request_id else made

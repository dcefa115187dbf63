"""Requests and replies of the control socket: one JSON object each, tied together by ``id``.

-> {"id": "7", "verb": "status", "args": {}}
<- {"id": "7", "ok": true, "result": {...}}
<- {"id": "7", "ok": false, "error": {"type": "EnrolmentError", "message": "...", "fix": "...", "report": {...}}}
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged import errors
from edged.errors import ControlError, EdgedError, EnrolmentError


class Request(BaseModel):
    """What a client asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=64)
    verb: str = Field(min_length=1, max_length=64)
    args: dict[str, Any] = Field(default_factory=dict)


def parse_request(body: bytes) -> Request:
    """The request in a message.

    Raises:
        ControlError: it is none.
    """
    try:
        return Request.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise ControlError(f"not a request: {where}: {first['msg']}") from None


def request_id(body: bytes) -> str:
    """The id of a message that is no request, as far as it has one, so that its sender sees the refusal."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    identity = found.get("id") if isinstance(found, dict) else None
    return identity[:64] if isinstance(identity, str) else ""


def success(identity: str, result: dict[str, Any]) -> bytes:
    """The reply that carries a result."""
    return json.dumps({"id": identity, "ok": True, "result": result}).encode()


def failure(identity: str, error: EdgedError) -> bytes:
    """The reply that carries an error."""
    facts: dict[str, Any] = {"type": type(error).__name__, "message": error.message, "fix": error.fix}
    if isinstance(error, EnrolmentError) and error.report:
        facts["report"] = error.report
    return json.dumps({"id": identity, "ok": False, "error": facts}).encode()


def result_of(body: bytes, identity: str) -> dict[str, Any] | None:
    """The result in the reply to request ``identity``; None if the message answers something else.

    Raises:
        EdgedError: what the daemon answered, in its own class.
        ControlError: the message is no reply.
    """
    try:
        reply = json.loads(body)
        if reply["id"] != identity:
            return None
        if reply["ok"]:
            return dict(reply["result"])
        facts = reply["error"]
        if facts["type"] == EnrolmentError.__name__:
            raise EnrolmentError(facts["message"], fix=facts["fix"], report=facts.get("report"))
        raise _error_class(facts["type"])(facts["message"], fix=facts["fix"])
    except (ValueError, TypeError, KeyError) as error:
        raise ControlError("the daemon's answer is no reply") from error


def _error_class(name: str) -> type[EdgedError]:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, EdgedError) else ControlError

"""Faults in the words of SCIM (RFC 7644, section 3.12)."""

from typing import Any

from rest_framework.response import Response

from kernel.api.errors import as_domain_error
from kernel.api.errors import render as render_ours
from kernel.errors import Conflict, DomainError, InvalidRequest
from tenants.access.services.groups import GroupNameTaken

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


class BadFilter(InvalidRequest):
    """A filter that is not understood."""

    code = "invalidFilter"


class BadPath(InvalidRequest):
    """A path of a change that is not understood."""

    code = "invalidPath"


class BadValue(InvalidRequest):
    """A value that the attribute cannot have."""

    code = "invalidValue"


class BadSyntax(InvalidRequest):
    """A body of another form than the operation's."""

    code = "invalidSyntax"


class NotUnique(Conflict):
    """There is one already."""

    code = "uniqueness"


SCIM_TYPES = frozenset({"invalidFilter", "invalidPath", "invalidValue", "invalidSyntax", "uniqueness"})


def handle(exception: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler for SCIM: its error body, whatever went wrong."""
    error = as_domain_error(exception)
    response = render_ours(error)
    response.data = _body(error)
    return response


def _body(error: DomainError) -> dict[str, Any]:
    scim_type = "uniqueness" if isinstance(error, GroupNameTaken) else error.code
    return {
        "schemas": [ERROR_SCHEMA],
        "status": str(error.status),
        "detail": error.message,
        **({"scimType": scim_type} if scim_type in SCIM_TYPES else {}),
    }

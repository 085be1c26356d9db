"""The door of SCIM: its media type, its errors; who may come is decided as at every other address."""

from typing import Any

from rest_framework.renderers import JSONRenderer

from kernel.api.parsers import StrictJSONParser
from tenants.access.endpoint import OrganizationEndpoint
from tenants.identity.scim import errors

MEDIA_TYPE = "application/scim+json"


class ScimParser(StrictJSONParser):
    """JSON under SCIM's own name."""

    media_type = MEDIA_TYPE


class ScimRenderer(JSONRenderer):
    """JSON under SCIM's own name."""

    media_type = MEDIA_TYPE
    format = "scim"


class ScimEndpoint(OrganizationEndpoint):
    """An address of SCIM. The standard describes it, so that our API's description does not."""

    parser_classes = [ScimParser, StrictJSONParser]
    renderer_classes = [ScimRenderer]
    schema = None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        sent = self.request.data
        return sent if isinstance(sent, dict) else {}

    def get_exception_handler(self) -> Any:
        """SCIM's error bodies."""
        return errors.handle

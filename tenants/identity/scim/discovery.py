"""What SCIM says of itself: features, resource types, their attributes (RFC 7643, sections 5 to 7)."""

from typing import Any

from tenants.identity.scim.filters import MAX_COUNT
from tenants.identity.scim.shapes import GROUP_SCHEMA, USER_SCHEMA, location

CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
TYPE_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def service_provider_config() -> dict[str, Any]:
    """What is supported."""
    return {
        "schemas": [CONFIG_SCHEMA],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_COUNT},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Administration API key",
                "description": "An administration API key in the header 'Authorization: Bearer lw_…'.",
                "primary": True,
            }
        ],
        "meta": _meta("ServiceProviderConfig", "ServiceProviderConfig", ""),
    }


def resource_types() -> list[dict[str, Any]]:
    """Users and groups."""
    return [
        {
            "schemas": [TYPE_SCHEMA],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "schema": schema,
            "meta": _meta("ResourceType", "ResourceTypes", name),
        }
        for name, schema in (("User", USER_SCHEMA), ("Group", GROUP_SCHEMA))
    ]


def schemas() -> list[dict[str, Any]]:
    """The attributes that are kept; others may be sent and are passed over."""
    texts = [_text(name) for name in ("externalId", "displayName", "title")]
    name = _attribute("name", "complex", subAttributes=[_text("givenName"), _text("familyName")])
    value = _text("value")
    return [
        _schema(
            USER_SCHEMA,
            "User",
            [
                _text("userName", required=True, uniqueness="server"),
                *texts,
                name,
                _attribute("active", "boolean"),
                _attribute(
                    "emails", "complex", multiValued=True, mutability="readOnly", subAttributes=[value]
                ),
                _attribute(
                    "groups", "complex", multiValued=True, mutability="readOnly", subAttributes=[value]
                ),
            ],
        ),
        _schema(
            GROUP_SCHEMA,
            "Group",
            [
                _text("displayName", required=True, uniqueness="server"),
                _text("externalId"),
                _attribute("members", "complex", multiValued=True, subAttributes=[value]),
            ],
        ),
    ]


def _schema(identifier: str, name: str, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schemas": [SCHEMA_SCHEMA],
        "id": identifier,
        "name": name,
        "description": name,
        "attributes": attributes,
        "meta": _meta("Schema", "Schemas", identifier),
    }


def _text(name: str, **more: Any) -> dict[str, Any]:
    return _attribute(name, "string", caseExact=False, **more)


def _attribute(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "required": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **more,
    }


def _meta(kind: str, place: str, name: str) -> dict[str, str]:
    return {"resourceType": kind, "location": location(place, name).rstrip("/")}

"""Our audit actions in OpenAI's words: event types, and the details that each type has there."""

from collections.abc import Callable, Mapping
from typing import Any

from kernel.audit.models import AuditEntry

Details = dict[str, Any]

DENIED = "access.denied"
# OpenAI's event type of each action that has one; any other action is its own type.
TYPES: Mapping[str, str] = {
    "key.create": "api_key.created",
    "key.update": "api_key.updated",
    "key.rotate": "api_key.updated",
    "key.revoke": "api_key.deleted",
    "service_account.create": "service_account.created",
    "service_account.update": "service_account.updated",
    "service_account.delete": "service_account.deleted",
    "project.create": "project.created",
    "project.update": "project.updated",
    "project.archive": "project.archived",
    "organization.update": "organization.updated",
    "member.add": "user.added",
    "member.update": "user.updated",
    "member.deactivate": "user.updated",
    "member.reactivate": "user.updated",
    "member.remove": "user.deleted",
    "group.create": "group.created",
    "group.update": "group.updated",
    "group.delete": "group.deleted",
    "role.create": "role.created",
    "role.update": "role.updated",
    "role.delete": "role.deleted",
    "role.assign": "role.assignment.created",
    "role.unassign": "role.assignment.deleted",
    "invitation.create": "invite.sent",
    "invitation.accept": "invite.accepted",
    "invitation.delete": "invite.deleted",
    "session.sign_in": "login.succeeded",
    "session.sign_out": "logout.succeeded",
    "limit.update": "rate_limit.updated",
    "limit.delete": "rate_limit.deleted",
    "file.delete": "resource.deleted",
}
# OpenAI's types whose details are more than an id.
_CREATED = frozenset(
    {"api_key.created", "service_account.created", "project.created", "user.added", "group.created"}
)


def type_of(entry: AuditEntry) -> str:
    """The event type of an entry; whatever was refused is one type."""
    if entry.outcome == "denied":
        return DENIED
    return TYPES.get(entry.action, entry.action)


def actions_of(event_type: str) -> set[str]:
    """The actions that are told under an event type."""
    return {action for action, known in TYPES.items() if known == event_type} or {event_type}


def details_of(entry: AuditEntry) -> Details:
    """What an entry tells beside its type, time and actor, in the shape of its type."""
    kind, told = type_of(entry), dict(entry.details)
    if kind == DENIED:
        return {"permission": entry.action, "address": entry.target, **told}
    if shape := _SHAPES.get(kind):
        return shape(entry, told)
    if kind in _CREATED:
        return {"id": entry.target, "data": told}
    if kind.endswith(".updated"):
        return {"id": entry.target, "changes_requested": _changes(told)}
    return {"id": entry.target, **told}


def _changes(told: Details) -> Details:
    after = told.get("after")
    return after if isinstance(after, dict) else told


def _key_created(entry: AuditEntry, told: Details) -> Details:
    return {"id": entry.target, "data": {"scopes": told.pop("permissions", []), **told}}


def _project_created(entry: AuditEntry, told: Details) -> Details:
    name = told.get("name", "")
    return {"id": entry.target, "data": {"name": name, "title": name}}


def _project_updated(entry: AuditEntry, told: Details) -> Details:
    changes = _changes(told)
    title = {"title": changes["name"]} if "name" in changes else {}
    return {"id": entry.target, "changes_requested": {**changes, **title}}


def _user_added(entry: AuditEntry, told: Details) -> Details:
    held = told.get("roles", [])
    return {"id": entry.target, "data": {"role": "owner" if "owner" in held else "member", "roles": held}}


def _group_created(entry: AuditEntry, told: Details) -> Details:
    return {"id": entry.target, "data": {"group_name": told.get("name", "")}}


def _group_updated(entry: AuditEntry, told: Details) -> Details:
    return {"id": entry.target, "changes_requested": {"group_name": told.get("after", "")}}


def _invited(entry: AuditEntry, told: Details) -> Details:
    return {"id": entry.target, "data": told}


def _role_assigned(entry: AuditEntry, told: Details) -> Details:
    project = told.get("project")
    return {
        "id": entry.target,
        "principal_id": entry.target,
        "principal_type": "group" if entry.target.startswith("group") else "user",
        "resource_id": project or "",
        "resource_type": "api.project" if project else "api.organization",
        "role": told.get("role", ""),
    }


_SHAPES: Mapping[str, Callable[[AuditEntry, Details], Details]] = {
    "api_key.created": _key_created,
    "project.created": _project_created,
    "project.updated": _project_updated,
    "user.added": _user_added,
    "group.created": _group_created,
    "group.updated": _group_updated,
    "invite.sent": _invited,
    "role.assignment.created": _role_assigned,
    "role.assignment.deleted": _role_assigned,
}

"""What a directory does with groups: those that it made are its own, and nobody else's to change."""

from typing import Any

from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound
from tenants.access.models import Group, GroupMember, Member
from tenants.access.services import groups
from tenants.identity.scim.changes import Change
from tenants.identity.scim.errors import BadSyntax, BadValue, NotUnique

MAX_MEMBERS = 2000


def find_team(public_id: str) -> Group:
    """The directory's group with this id; one made by hand is not the directory's. Raises `NotFound`."""
    found = groups.find_group(public_id, param=None)
    if not found.scim_managed:
        raise NotFound(f"There is no group '{public_id}'.")
    Group.objects.select_for_update().get(pk=found.pk)
    return found


def make_team(body: dict[str, Any]) -> Group:
    """A new group of the directory's. Raises `BadValue`, `NotUnique`, `GroupNameTaken`."""
    name, external_id = _name(body.get("displayName")), _external_id(body.get("externalId"))
    if external_id and Group.objects.filter(external_id=external_id).exists():
        raise NotUnique(f"Another group has the external id '{external_id}'.")
    group = groups.make_group(name, external_id=external_id, scim_managed=True)
    _fill(group, _members(body.get("members")))
    return group


def replace_team(group: Group, body: dict[str, Any]) -> Group:
    """Let the group be exactly as the body says. Raises what `make_team` raises."""
    _rename(group, body.get("displayName"))
    _identify(group, body.get("externalId"))
    _fill(group, _members(body.get("members")))
    return group


def change_team(group: Group, changes: list[Change]) -> Group:
    """Make the changes in their order. Raises what `make_team` raises."""
    for change in changes:
        if change.attribute == "displayname":
            _rename(group, change.value)
        elif change.attribute == "externalid":
            _identify(group, change.value if change.operation != "remove" else "")
        elif change.attribute == "members":
            _change_members(group, change)
    return group


def delete_team(group: Group) -> None:
    """End the group."""
    groups.delete_group(group, by=None)


def _change_members(group: Group, change: Change) -> None:
    if change.operation == "add":
        for member in _members(change.value):
            groups.add_to_group(group, member, by=None)
    elif change.operation == "replace":
        _fill(group, _members(change.value))
    elif change.only is not None:
        _empty(group, {change.only})
    elif change.value is None:
        _fill(group, [])
    else:
        _empty(group, set(_ids(change.value)))


def _fill(group: Group, wanted: list[Member]) -> None:
    """Let the group have exactly these members."""
    inside = {row.member_id: row.member for row in _rows(group)}
    for member in wanted:
        if member.pk not in inside:
            groups.add_to_group(group, member, by=None)
    kept = {member.pk for member in wanted}
    for pk, member in inside.items():
        if pk not in kept:
            groups.remove_from_group(group, member, by=None)


def _empty(group: Group, public_ids: set[str]) -> None:
    """Take out those of the named who are inside; who is not, is out already."""
    for row in _rows(group):
        if row.member.public_id in public_ids:
            groups.remove_from_group(group, row.member, by=None)


def _rows(group: Group) -> list[GroupMember]:
    return list(GroupMember.objects.filter(group=group).select_related("member__user"))


def _members(value: Any) -> list[Member]:
    named = list(dict.fromkeys(_ids(value)))
    try:
        user_ids = [ids.parse("user", public_id) for public_id in named]
    except NotFound as fault:
        raise BadValue(fault.message) from None
    found = list(Member.objects.filter(user_id__in=user_ids).select_related("user"))
    if len(found) < len(named):
        missing = set(named) - {member.public_id for member in found}
        raise BadValue(f"There is no user '{min(missing)}'.")
    return found


def _ids(value: Any) -> list[str]:
    if value is None:
        return []
    listed = value if isinstance(value, list) else [value]
    if len(listed) > MAX_MEMBERS:
        raise BadValue(f"At most {MAX_MEMBERS} members are taken at once; add the others in further changes.")
    if not all(isinstance(each, dict) and isinstance(each.get("value"), str) for each in listed):
        raise BadSyntax("'members' must be a list of objects with a 'value'.")
    return [each["value"] for each in listed]


def _rename(group: Group, name: Any) -> None:
    wanted = _name(name)
    if wanted != group.name:
        groups.rename_group(group, wanted, by=None)


def _identify(group: Group, external_id: Any) -> None:
    wanted = _external_id(external_id)
    if wanted == group.external_id:
        return
    if wanted and Group.objects.exclude(pk=group.pk).filter(external_id=wanted).exists():
        raise NotUnique(f"Another group has the external id '{wanted}'.")
    Group.objects.filter(pk=group.pk).update(external_id=wanted)
    record("scim.group.update", group.public_id, changed=["external_id"])
    group.external_id = wanted


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValue("'displayName' is needed: the group's name.")
    return value.strip()


def _external_id(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 255:
        raise BadValue("'externalId' must be text of at most 255 characters.")
    return value

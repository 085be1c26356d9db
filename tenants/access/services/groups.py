"""Groups: people who get roles and object permissions together. Each has its row of Django's for guardian."""

from django.contrib.auth.models import Group as AuthGroup

from kernel import ids
from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import Group, GroupMember, Member, RoleAssignment, TenantGroupPermission
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.access.services import grants, roles

MAX_NAME_CHARACTERS = 255


class GroupNameTaken(Conflict):
    """Two groups of an organization would have one name."""

    code = "group_name_taken"


class GroupProvisioned(Conflict):
    """The identity provider keeps the group; a change here would be undone by it."""

    code = "group_scim_managed"
    message = "Your identity provider manages this group: change it there."


def find_group(public_id: str, *, param: str | None = "group_id") -> Group:
    """The group of the current organization with this id. Raises `NotFound`."""
    group: Group | None = Group.objects.filter(pk=ids.parse("group", public_id, param=param)).first()
    if group is None:
        raise NotFound(f"There is no group '{public_id}'.", param=param)
    return group


def make_group(name: str, *, external_id: str = "", scim_managed: bool = False) -> Group:
    """A new, empty group. Raises `InvalidRequest` for a bad name, `GroupNameTaken`."""
    name = _free_name(name)
    group_id = ids.uuid7()
    group: Group = Group.objects.create(
        id=group_id,
        name=name,
        auth_group=AuthGroup.objects.create(name=str(group_id)),
        external_id=external_id,
        scim_managed=scim_managed,
    )
    record("group.create", group.public_id, name=name)
    tell("tenants.group.created.v1", group)
    group.refresh_from_db(fields=["created_at"])
    return group


def rename_group(group: Group, name: str, *, by: Principal | None) -> None:
    """Another name for a group. Without `by` the identity provider asks. Raises what `make_group` raises."""
    _require_ours(group, by)
    before, name = group.name, _free_name(name, besides=group)
    Group.objects.filter(pk=group.pk).update(name=name)
    group.name = name
    record("group.update", group.public_id, before=before, after=name)
    tell("tenants.group.updated.v1", group)


def delete_group(group: Group, *, by: Principal | None) -> None:
    """End a group: its members lose what they had by it. Raises `Escalation`, `GroupProvisioned`."""
    _require_ours(group, by)
    _require_may_fill(group, by)
    record("group.delete", group.public_id, name=group.name)
    tell("tenants.group.deleted.v1", group)
    auth_group = group.auth_group
    group.delete()
    auth_group.delete()
    roles.tell_standing_changed()


def add_to_group(group: Group, member: Member, *, by: Principal | None) -> bool:
    """Put a member into a group; twice is once, and says False. Without `by` the identity provider asks.

    Raises `Escalation` when the group may do what the caller may not, `GroupProvisioned`.
    """
    _require_ours(group, by)
    _require_may_fill(group, by)
    _, made = GroupMember.objects.get_or_create(group=group, member=member)
    if made:
        member.user.groups.add(group.auth_group)
        record("group.member.add", group.public_id, member=member.public_id)
        roles.tell_standing_changed(member)
    return made


def remove_from_group(group: Group, member: Member, *, by: Principal | None) -> None:
    """Take a member out of a group. Raises `NotFound` for who is not in it, `Escalation`."""
    _require_ours(group, by)
    _require_may_fill(group, by)
    deleted, _ = GroupMember.objects.filter(group=group, member=member).delete()
    if not deleted:
        raise NotFound(f"'{member.public_id}' is not in this group.", param="user_id")
    member.user.groups.remove(group.auth_group)
    record("group.member.remove", group.public_id, member=member.public_id)
    roles.tell_standing_changed(member)


def leave_all_groups(member: Member) -> None:
    """Take a member out of every group of the organization."""
    mine = Group.objects.filter(pk__in=GroupMember.objects.filter(member=member).values("group_id"))
    member.user.groups.remove(*mine.values_list("auth_group_id", flat=True))
    GroupMember.objects.filter(member=member).delete()


def tell(name: str, group: Group) -> None:
    """Say what happened to a group."""
    emit(Happening(name=name, aggregate_id=group.pk, resource="group", resource_id=group.public_id))


def _require_ours(group: Group, by: Principal | None) -> None:
    if by is not None and group.scim_managed:
        raise GroupProvisioned


def _require_may_fill(group: Group, by: Principal | None) -> None:
    """Who joins a group gets all it may do, so that the caller must hold all of that."""
    if by is None:
        return
    assignments = RoleAssignment.objects.filter(group=group).select_related("custom_role")
    for assignment in assignments:
        permissions = roles.permissions_of(roles.role_of(assignment))
        require_may_hand_out(by, permissions, project_id=assignment.project_id)
    if (
        TenantGroupPermission.objects.filter(group=group.auth_group)
        .exclude(permission__codename=grants.USE_PROJECT)
        .exists()
    ):
        require_may_hand_out(by, {Permission.GRANT_WRITE})


def _free_name(name: str, *, besides: Group | None = None) -> str:
    roles.lock_organization()
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"'name' must have 1 to {MAX_NAME_CHARACTERS} printable characters.", param="name"
        )
    others = Group.objects.exclude(pk=besides.pk) if besides else Group.objects.all()
    if others.filter(name=name).exists():
        raise GroupNameTaken(f"There is a group '{name}' already.", param="name")
    return name

"""Who belongs to what, as far as limits need it.

Members, groups and keys live in a room that stands on this one, so their models are found by name.
"""

from uuid import UUID

from django.apps import apps

from tenants.limits.kinds import Scope, Subject
from tenants.organizations.models import Project

_MODELS = {Scope.GROUP: "access.Group", Scope.KEY: "access.ApiKey"}


def groups_of(user_id: UUID) -> list[UUID]:
    """The groups of the current organization that a person is in."""
    rows = apps.get_model("access", "GroupMember").objects.filter(member__user_id=user_id)
    return list(rows.values_list("group_id", flat=True))


def people_of(group_id: UUID) -> list[UUID]:
    """The people in a group of the current organization."""
    rows = apps.get_model("access", "GroupMember").objects.filter(group_id=group_id)
    return list(rows.values_list("member__user_id", flat=True))


def memberships_in(group_ids: list[UUID]) -> dict[UUID, list[UUID]]:
    """Of each person in one of these groups, in which of them."""
    rows = apps.get_model("access", "GroupMember").objects.filter(group_id__in=group_ids)
    found: dict[UUID, list[UUID]] = {}
    for user_id, group_id in rows.order_by("pk").values_list("member__user_id", "group_id"):
        found.setdefault(user_id, []).append(group_id)
    return found


def is_known(subject: Subject) -> bool:
    """Whether the current organization has the project, group, member or key that a limit is for."""
    if subject.scope is Scope.ORGANIZATION:
        return True
    if subject.scope is Scope.PROJECT:
        return bool(Project.objects.filter(pk=subject.subject_id).exists())
    if subject.scope is Scope.MEMBER:
        members = apps.get_model("access", "Member").objects
        return bool(members.filter(user_id=subject.subject_id).exists())
    rows = apps.get_model(_MODELS[subject.scope]).objects
    return bool(rows.filter(pk=subject.subject_id).exists())

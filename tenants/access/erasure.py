"""What access keeps outside an organization's rows, and memberships, which end as members leave."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group as GuardiansGroup

from kernel import ids
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.tenancy.scope import acting_for
from tenants.access.models import Group, Member, User
from tenants.access.services import members, roles
from tenants.access.sessions import is_member_anywhere

# An address that can receive nothing (RFC 2606), so that the row stays a person's and tells of nobody.
NOWHERE = "erased.invalid"


@keeps
class GuardiansGroups(Keeper):
    """The groups by which guardian knows an organization's: Django's rows, which belong to nobody."""

    name = "groups"

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Remove the organization's groups with Django's rows for them."""
        with acting_for(subject.organization_id):
            known = list(Group.objects.values_list("auth_group_id", flat=True))
            Group.objects.all().delete()
            GuardiansGroup.objects.filter(pk__in=known).delete()


@keeps
class Membership(Keeper):
    """That a person is in the organization, and their account where they are in no other."""

    name = "membership"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """The person's membership. Raises `LastOwner` where the organization would be left without one."""
        if subject.person is None:
            return
        with acting_for(subject.organization_id):
            member = Member.objects.filter(user_id=subject.person).first()
            if member is not None:
                roles.require_an_owner(besides=member)
        if member is not None:
            yield Trace(
                kind="memberships",
                place=member.public_id,
                count=1,
                fate=Fate.ERASED,
                because="Roles, groups, grants and API keys end with it. The account goes too, unless "
                "another organization has the person.",
            )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """End the membership, and the account that no other organization needs. Raises `LastOwner`."""
        if subject.person is None:
            return
        with acting_for(subject.organization_id):
            member = Member.objects.filter(user_id=subject.person).first()
            if member is not None:
                members.remove_member(member, by=None)
        if not is_member_anywhere(subject.person):
            empty_account(subject.person)


def empty_account(user_id: UUID) -> None:
    """Leave nothing of an account but its id, to which records of others still point."""
    address = f"{ids.render('user', user_id)}@{NOWHERE}"
    emptied = {"email": address, "name": "", "is_active": False, "is_operator": False, "password": ""}
    User.objects.filter(pk=user_id).update(**emptied)
    for model in (EmailAddress, Authenticator, UserSession):
        model.objects.filter(user_id=user_id).delete()

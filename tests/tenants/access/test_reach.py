"""By law: an object is reached as roles, its restriction and the grants on it say."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants.access.models import Member
from tenants.access.permissions import MATRIX, Permission, Role
from tenants.access.principal import Principal
from tenants.access.restrictable import visible
from tenants.access.services import grants, groups
from tenants.datasets.models import File
from tests.cast import Person, new_person

WORKING_ROLES = st.frozensets(st.sampled_from(sorted(MATRIX)), max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=WORKING_ROLES,
    restricted=st.booleans(),
    to_member=st.booleans(),
    to_group=st.booleans(),
    is_key=st.booleans(),
)
def test_by_law_an_object_is_reached_as_roles_restriction_and_grants_say(
    reach: "Reach", held: frozenset[Role], restricted: bool, to_member: bool, to_group: bool, is_key: bool
) -> None:
    permissions = frozenset[Permission]().union(*(MATRIX[role] for role in held))
    holds, keeps = Permission.FILE_READ in permissions, Permission.GRANT_WRITE in permissions
    expected = holds and (keeps or not restricted)
    if not is_key:
        expected = expected or to_member or to_group
    assert (
        reach(permissions, restricted=restricted, to_member=to_member, to_group=to_group, is_key=is_key)
        == expected
    )


class Reach:
    """One file, one member in one group, and whether the file is reached when things are so."""

    def __init__(self, owner: Person) -> None:
        self.owner, self.reader = owner, new_person(Role.END_USER, joining=owner)
        self.file = owner.openai.files.create(file=("a.jsonl", b"{}\n"), purpose="fine-tune").id
        with owner.acting():
            self.group, self.member = groups.make_group("R"), Member.objects.get(user=self.reader.user)
            groups.add_to_group(self.group, self.member, by=owner.principal)

    def __call__(
        self,
        permissions: frozenset[Permission],
        *,
        restricted: bool,
        to_member: bool,
        to_group: bool,
        is_key: bool,
    ) -> bool:
        by, read = self.owner.principal, [Permission.FILE_READ]
        with self.owner.acting():
            target = grants.find_object(self.file, by=by)
            grants.restrict(target, restricted=restricted)
            grants.grant(target, self.member, read if to_member else [], by=by)
            grants.grant(target, self.group, read if to_group else [], by=by)
            caller = Principal(
                self.owner.organization.pk,
                self.owner.project.pk,
                permissions,
                user_id=None if is_key else self.reader.user.pk,
                key_id=self.reader.user.pk if is_key else None,
            )
            return visible(File.objects.all(), caller, Permission.FILE_READ).exists()


@pytest.fixture
def reach(owner: Person) -> Reach:
    return Reach(owner)

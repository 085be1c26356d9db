"""What access keeps of an organization outside its own tables: the groups by which guardian knows its own."""

from uuid import UUID

from django.contrib.auth.models import Group as GuardiansGroup

from kernel.ports.erasure import erases
from kernel.tenancy.scope import acting_for
from tenants.access.models import Group


@erases("groups")
def erase_groups(organization_id: UUID) -> None:
    """Remove the organization's groups with Django's rows for them, which belong to nobody afterwards."""
    with acting_for(organization_id):
        known = list(Group.objects.values_list("auth_group_id", flat=True))
        Group.objects.all().delete()
        GuardiansGroup.objects.filter(pk__in=known).delete()

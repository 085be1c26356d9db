"""Questions about verified domains that are asked before, or without, an organization."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from kernel.tenancy.scope import across_tenants
from tenants.identity.models import Domain

CHECK_EVERY = timedelta(hours=24)
CHECKS_PER_RUN = 500


def organization_with(domain_name: str) -> UUID | None:
    """The organization that has the domain verified: at most one on the whole platform."""
    with across_tenants():
        found: UUID | None = (
            Domain.objects.filter(name=domain_name, verified_at__isnull=False)
            .values_list("organization_id", flat=True)
            .first()
        )
    return found


def domains_to_check() -> list[tuple[UUID, UUID]]:
    """Verified domains whose proof was not looked at for a day, as (organization, domain)."""
    due = Q(checked_at=None) | Q(checked_at__lte=Now() - CHECK_EVERY)
    with across_tenants():
        return list(
            Domain.objects.filter(due, verified_at__isnull=False)
            .order_by("checked_at")
            .values_list("organization_id", "pk")[:CHECKS_PER_RUN]
        )

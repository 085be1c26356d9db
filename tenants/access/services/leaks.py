"""Secrets that somebody found in public: they end at once, and their owner is told."""

from dataclasses import dataclass

from django.conf import settings

from kernel.audit.log import Actor, acting_as, record
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import acting_for
from tenants.access import secrets
from tenants.access.authentication import live_key
from tenants.access.models import ApiKey, Member, RoleAssignment, User
from tenants.access.permissions import Role
from tenants.access.services import keys

LEAKED = "tenants.api_key.leaked.v1"
REPORTER = "leak-report"
REASON = "leaked"


@dataclass(frozen=True)
class Report:
    """Where a secret was found, and from where that was reported."""

    where: str
    address: str
    request_id: str


def report_leak(secret: str, report: Report) -> None:
    """Revoke the key that a leaked secret opens, if there is one. Whoever reports is told nothing of it.

    Of a secret that is being rotated out only the overlap ends, since the present one is not known.
    """
    if not secrets.is_well_formed(secret):
        return
    secret_hash = secrets.keyed_hash(secret, settings.API_KEY_PEPPER)
    key = live_key(secret_hash)
    if key is None:
        return
    with acting_as(Actor(REPORTER, report.address, report.request_id)), acting_for(key.organization_id):
        # Looked at again under a lock: it may have been revoked or rotated meanwhile.
        found = ApiKey.objects.select_for_update().filter(pk=key.pk, revoked_at=None).first()
        if found is None or secret_hash not in {found.secret_hash, found.previous_hash}:
            return
        if found.secret_hash == secret_hash:
            keys.revoke_api_key(found, reason=REASON)
        else:
            keys.end_overlap(found, reason=REASON)
        record("key.leak", found.public_id, name=found.name, where=report.where)
        emit(
            Happening(
                name=LEAKED,
                aggregate_id=found.pk,
                project_id=found.project_id,
                resource="api_key",
                resource_id=found.public_id,
            )
        )


def whom_to_tell(key: ApiKey) -> list[User]:
    """Who answers for a key: its maker while they belong to the organization, or else the owners."""
    maker = Member.objects.filter(user=key.created_by, deactivated_at=None).select_related("user").first()
    if maker is not None:
        return [maker.user]
    owners = RoleAssignment.objects.filter(
        builtin=Role.OWNER.value, project=None, member__isnull=False, member__deactivated_at=None
    ).select_related("member__user")
    return [owner.member.user for owner in owners]

"""Domains: claimed, proved by a record in the domain name system, and proved again every day."""

import secrets
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import Conflict, NotFound
from kernel.events.outbox import Happening, emit
from kernel.ids import render
from kernel.tenancy.scope import acting_for, current_organization_id
from tenants.access.services.roles import tell_standing_changed
from tenants.identity.models import Domain
from tenants.identity.sso import crossings, dns
from tenants.identity.sso.errors import DomainNotProved, DomainTaken, ResolverAway, SsoStandsOnThis
from tenants.identity.sso.names import domain_name
from tenants.organizations.models import Organization

RECORD_LABEL = "_loomworks-verification"
VALUE_PREFIX = "loomworks-verification="
TOKEN_BYTES = 24
MAX_DOMAINS = 100
# Records vanish by mistake, when a zone is moved for instance; nobody is locked out for that at once.
GRACE = timedelta(days=7)

log = structlog.get_logger()


class TooManyDomains(Conflict):
    """More than an organization may claim."""

    code = "too_many_domains"
    message = f"An organization may claim {MAX_DOMAINS} domains: remove one that is not needed."


class DomainClaimed(Conflict):
    """The organization has claimed it before."""

    code = "domain_claimed"


def record_name(domain: Domain) -> str:
    """Where the proof is looked for."""
    return f"{RECORD_LABEL}.{domain.name}"


def record_value(domain: Domain) -> str:
    """What the proof says."""
    return f"{VALUE_PREFIX}{domain.token}"


def claim_domain(name: str) -> Domain:
    """Say that a domain is the organization's; `verify_domain` proves it. Raises `DomainClaimed`."""
    name = domain_name(name)
    if Domain.objects.count() >= MAX_DOMAINS:
        raise TooManyDomains
    if Domain.objects.filter(name=name).exists():
        raise DomainClaimed(f"'{name}' is in the list already.", param="name")
    domain: Domain = Domain.objects.create(name=name, token=secrets.token_hex(TOKEN_BYTES))
    record("domain.claim", domain.public_id, name=name)
    domain.refresh_from_db(fields=["created_at"])
    return domain


def find_domain(domain_id: UUID) -> Domain:
    """The domain of the current organization. Raises `NotFound`."""
    found: Domain | None = Domain.objects.filter(pk=domain_id).first()
    if found is None:
        raise NotFound(f"There is no domain '{render('domain', domain_id)}'.")
    return found


def verify_domain(organization_id: UUID, domain_id: UUID) -> Domain:
    """Look for the proof now. Opens its own scopes, since the look-up may take seconds.

    Raises `NotFound`, `DomainNotProved`, `DomainTaken`, `ResolverAway`.
    """
    with acting_for(organization_id):
        domain = find_domain(domain_id)
    proved = is_proved(domain)
    with acting_for(organization_id):
        if proved:
            _stand(domain)
        elif domain.verified_at:
            _fail(domain)
        domain.refresh_from_db()
    if not proved:
        raise DomainNotProved(
            f"No text record at '{record_name(domain)}' says '{record_value(domain)}'. Add it where the "
            "domain's names are kept; it can take an hour until it is seen everywhere."
        )
    return domain


def remove_domain(domain: Domain) -> None:
    """Give the domain up. Raises `SsoStandsOnThis` for the last verified one while sign-on is required."""
    others = Domain.objects.exclude(pk=domain.pk).filter(verified_at__isnull=False)
    required = Organization.objects.get(pk=current_organization_id()).require_sso
    if domain.verified_at and required and not others.exists():
        raise SsoStandsOnThis
    record("domain.remove", domain.public_id, name=domain.name, was_verified=domain.verified_at is not None)
    domain.delete()
    tell_standing_changed()


def is_proved(domain: Domain) -> bool:
    """Whether the domain carries its record now. Raises `ResolverAway`."""
    return record_value(domain) in dns.texts_at(record_name(domain))


def recheck_domains() -> None:
    """Look at every verified domain's proof once a day; without one for 7 days it loses its standing."""
    for organization_id, domain_id in crossings.domains_to_check():
        with acting_for(organization_id):
            domain: Domain | None = Domain.objects.filter(pk=domain_id).first()
        if domain is None:
            continue
        try:
            proved = is_proved(domain)
        except ResolverAway:
            # That is our side's fault: nobody loses a domain by it.
            log.warning("domains.resolver_away", domain=domain.public_id)
            continue
        with acting_for(organization_id):
            (_stand if proved else _fail)(domain)


def verified_names() -> set[str]:
    """The domains that the current organization has verified."""
    return set(Domain.objects.filter(verified_at__isnull=False).values_list("name", flat=True))


def _stand(domain: Domain) -> None:
    """Note that the proof was found."""
    seen = {"checked_at": Now(), "failing_since": None}
    if Domain.objects.filter(pk=domain.pk, verified_at__isnull=False).update(**seen):
        return
    try:
        with transaction.atomic():
            Domain.objects.filter(pk=domain.pk).update(**seen, verified_at=Now())
    except IntegrityError:
        raise DomainTaken from None
    record("domain.verify", domain.public_id, name=domain.name)
    _tell("verified", domain)
    tell_standing_changed()


def _fail(domain: Domain) -> None:
    """Note that the proof was not found: warn at first, end the standing after the grace period."""
    standing = Domain.objects.filter(pk=domain.pk, verified_at__isnull=False)
    lost = standing.filter(failing_since__lte=Now() - GRACE)
    if lost.update(verified_at=None, failing_since=None, checked_at=Now()):
        record("domain.lose", domain.public_id, name=domain.name)
        _tell("lost", domain)
        tell_standing_changed()
    elif standing.filter(failing_since=None).update(failing_since=Now(), checked_at=Now()):
        record("domain.fail", domain.public_id, name=domain.name)
        _tell("failing", domain)
    else:
        standing.update(checked_at=Now())


def _tell(verb: str, domain: Domain) -> None:
    emit(
        Happening(
            name=f"tenants.domain.{verb}.v1",
            aggregate_id=domain.pk,
            resource="domain",
            resource_id=domain.public_id,
        )
    )

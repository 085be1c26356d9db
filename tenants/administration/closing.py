"""The end of organizations that were closed: erased by the clock, with a line in the platform's own trail."""

from uuid import UUID

import structlog

from kernel.ids import render
from tenants.limits.services.operation import note
from tenants.organizations.services import erasure
from tenants.organizations.services.holds import UnderLegalHold

log = structlog.get_logger()


def erase_due() -> int:
    """Erase every organization that is due; answers how many came to their end.

    One that cannot be finished now (a store is away, a legal hold is set) is taken up again by the next tick.
    """
    return sum(_erase(organization_id) for organization_id in erasure.due())


def _erase(organization_id: UUID) -> bool:
    try:
        return erasure.erase(organization_id, at_the_end=lambda: _note(organization_id))
    except UnderLegalHold as hold:
        log.warning("erasure.held", organization_id=str(organization_id), because=hold.message)
        return False
    except Exception:
        log.exception("erasure.interrupted", organization_id=str(organization_id))
        return False


def _note(organization_id: UUID) -> None:
    note("system", "organization.erase", render("org", organization_id))

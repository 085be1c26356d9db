"""What a person may see and change of themselves."""

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator

from kernel.audit.log import record
from kernel.errors import InvalidRequest
from tenants.access.assurance import FACTORS
from tenants.access.models import User

MAX_NAME_CHARACTERS = 100
LANGUAGE_REMEMBERED_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Factor:
    """One second factor."""

    type: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


def rename(user: User, name: str) -> User:
    """Give the person another name. Raises `InvalidRequest` for one that cannot be."""
    name = name.strip()
    if len(name) > MAX_NAME_CHARACTERS or "\0" in name:
        raise InvalidRequest(f"'name' must have at most {MAX_NAME_CHARACTERS} characters.", param="name")
    changed = User.objects.select_for_update().get(pk=user.pk)
    changed.name = name
    changed.save(update_fields=["name"])
    record("account.update", user.public_id, changed=["name"])
    return changed


def factors_of(user: User) -> list[Factor]:
    """The person's second factors, the oldest first. Recovery codes are none of their own."""
    rows = Authenticator.objects.filter(user_id=user.pk, type__in=FACTORS).order_by("created_at", "pk")
    return [Factor(str(row.type), str(row), row.created_at, row.last_used_at) for row in rows]


def recovery_codes_left(user: User) -> int:
    """How many recovery codes the person has not used yet."""
    row = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.RECOVERY_CODES).first()
    return len(row.wrap().get_unused_codes()) if row else 0

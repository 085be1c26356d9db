"""Second factors as allauth keeps them: sealed secrets, our name in people's apps, and who needs one."""

from typing import Any

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from kernel.crypto.personal import holds_personal, open_personal, reseal_personal, seal_personal
from tenants.access import sessions
from tenants.access.assurance import FACTORS
from tenants.access.models import User

PURPOSE = "identity.factor"
# What allauth encrypts of an app and of recovery codes.
SECRETS = ("secret", "seed")
PLATFORM_NAME = "Loomworks"


@holds_personal
def reseal_factors() -> int:
    """Seal anew the secrets of everybody's second factors; answers how many."""
    moved = 0
    for pk in Authenticator.objects.values_list("pk", flat=True).iterator():
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().filter(pk=pk).first()
            if row is not None and (changed := _resealed(row.data)):
                row.data.update(changed)
                row.save(update_fields=["data"])
                moved += len(changed)
    return moved


def _resealed(kept: dict[str, Any]) -> dict[str, str]:
    """Those of a factor's secrets that were under an older key, under the newest."""
    found = {name: kept[name] for name in SECRETS if isinstance(kept.get(name), str)}
    anew = {name: reseal_personal(text, purpose=PURPOSE) for name, text in found.items()}
    return {name: text for name, text in anew.items() if text is not None}


class FactorAdapter(DefaultMFAAdapter):
    """How allauth keeps and names second factors."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("This code is not right, or it was used already. Wait for the next one."),
        "cannot_delete_authenticator": _(
            "An organization of yours requires a second factor. Add another one before you remove this."
        ),
    }

    def encrypt(self, text: str) -> str:
        """Seal a secret for its column."""
        return seal_personal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Open what `encrypt` sealed. Raises `CiphertextAltered`."""
        return open_personal(encrypted_text, purpose=PURPOSE)

    def generate_authenticator_name(self, user: Any, type: Any) -> str:  # noqa: A002
        """What a new key is called until its owner says otherwise."""
        before = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return gettext("Key {number}").format(number=before + 1)

    def get_totp_issuer(self) -> str:
        return PLATFORM_NAME

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": context.request.get_host().partition(":")[0], "name": PLATFORM_NAME}

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Whether the person may do without it: another one remains, or nobody requires one."""
        others = Authenticator.objects.filter(user_id=authenticator.user_id, type__in=FACTORS)
        if others.exclude(pk=authenticator.pk).exists():
            return True
        user = User.objects.get(pk=authenticator.user_id)
        return not any(membership.requires_factor for membership in sessions.memberships_of(user))

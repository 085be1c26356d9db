"""Identity as a Django app."""

from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string

from tenants.identity.breached import require_readable


class IdentityConfig(AppConfig):
    """Signing up and in: passwords, factors, sessions, single sign-on, provisioning."""

    name = "tenants.identity"
    label = "identity"

    def ready(self) -> None:
        """Decide for access who must come by single sign-on: domains are known only here.

        Listen to what allauth tells, and refuse to start with a list of passwords that cannot be used.
        """
        rule_by = import_string("tenants.access.proofs.rule_by")
        rule_by(import_string("tenants.identity.sso.policy.must_come_by_sso"))
        import_string("tenants.identity.listeners.listen")()
        if settings.BREACHED_PASSWORDS_FILE:
            require_readable(Path(settings.BREACHED_PASSWORDS_FILE))

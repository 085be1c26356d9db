"""Identity as a Django app."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Signing up and in: passwords, factors, sessions, single sign-on, provisioning."""

    name = "tenants.identity"
    label = "identity"

    def ready(self) -> None:
        """Decide for access who must come by single sign-on: domains are known only here."""
        from tenants.access import proofs
        from tenants.identity.sso import policy

        proofs.rule_by(policy.must_come_by_sso)

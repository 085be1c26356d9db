"""Identity as a Django app."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Signing up and in: passwords, factors, sessions, single sign-on, provisioning."""

    name = "tenants.identity"
    label = "identity"

"""Access as a Django app."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """People, members, roles, API keys and sign-in."""

    name = "tenants.access"
    label = "access"

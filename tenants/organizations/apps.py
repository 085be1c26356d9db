"""Organizations as a Django app."""

from django.apps import AppConfig


class OrganizationsConfig(AppConfig):
    """Organizations and the projects inside them."""

    name = "tenants.organizations"
    label = "organizations"

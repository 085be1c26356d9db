"""Tenancy as a Django app."""

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    """Scoping and the database's policies; it has no table of its own."""

    name = "kernel.tenancy"
    label = "tenancy"

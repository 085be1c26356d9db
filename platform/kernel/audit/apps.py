"""The audit log as a Django app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Who did what to what, on a record that only grows."""

    name = "kernel.audit"
    label = "audit"

"""Compliance as a Django app."""

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    """What the law lets people demand: copies, erasure, evidence; and how long data is kept."""

    name = "tenants.compliance"
    label = "compliance"

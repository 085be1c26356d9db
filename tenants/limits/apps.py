"""Limits as a Django app."""

from django.apps import AppConfig


class LimitsConfig(AppConfig):
    """What an organization may use and what it costs: plans, prices, limits, alerts."""

    name = "tenants.limits"
    label = "limits"

"""Deployments as a Django app."""

from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    """Filled in by its models."""

    name = "inference.deployments"
    label = "deployments"

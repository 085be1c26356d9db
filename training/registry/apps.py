"""Registry as a Django app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Filled in by its models."""

    name = "training.registry"
    label = "registry"

"""Registry as a Django app."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Base models and the model versions made of them."""

    name = "training.registry"
    label = "registry"

"""Administration as a Django app."""

from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    """The doors to run an organization by: OpenAI's administration API and the operator's."""

    name = "tenants.administration"
    label = "administration"

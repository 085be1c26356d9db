"""Datasets as a Django app."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    """Files that people bring, and the dataset versions made of them."""

    name = "tenants.datasets"
    label = "datasets"

"""Encryption as a Django app."""

from django.apps import AppConfig


class CryptoConfig(AppConfig):
    """Owns the organizations' wrapped keys."""

    name = "kernel.crypto"
    label = "crypto"

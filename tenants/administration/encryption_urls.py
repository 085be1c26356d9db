"""Addresses of the organization's encryption."""

from django.urls import path

from tenants.administration.api import encryption_key

KEY = "api/v1/encryption-key"
RE_ENCRYPTION = f"{KEY}/re-encryption"

urlpatterns = [
    path(KEY, encryption_key.EncryptionKeyView.as_view()),
    path(f"{KEY}/rotate", encryption_key.RotationView.as_view()),
    path(f"{KEY}/retire-older", encryption_key.RetirementView.as_view()),
    path(RE_ENCRYPTION, encryption_key.ReEncryptionView.as_view()),
    path(f"{RE_ENCRYPTION}/cancel", encryption_key.ReEncryptionCancellationView.as_view()),
    path(f"{RE_ENCRYPTION}/resume", encryption_key.ReEncryptionResumptionView.as_view()),
]

"""Addresses of access."""

from django.urls import path

from tenants.access import api

urlpatterns = [
    path("api/v1/session", api.SessionView.as_view()),
    path("api/v1/api-keys", api.ApiKeysView.as_view()),
    path("api/v1/api-keys/<str:key_id>", api.ApiKeyView.as_view()),
    path("api/v1/api-keys/<str:key_id>/rotate", api.ApiKeyRotationView.as_view()),
    path("api/v1/leaked-keys", api.LeakedKeysView.as_view()),
]

"""Addresses of the registry."""

from django.urls import path

from training.registry import api

urlpatterns = [
    path("api/v1/base-models", api.BaseModelsView.as_view()),
    path("api/v1/model-versions", api.ModelVersionsView.as_view()),
    path("api/v1/model-versions/<str:version_id>", api.ModelVersionView.as_view()),
]

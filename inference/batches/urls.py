"""Addresses of batches."""

from django.urls import path

from inference.batches import api

urlpatterns = [
    path("v1/batches", api.BatchesView.as_view()),
    path("v1/batches/<str:batch_id>", api.BatchView.as_view()),
    path("v1/batches/<str:batch_id>/cancel", api.BatchCancelView.as_view()),
]

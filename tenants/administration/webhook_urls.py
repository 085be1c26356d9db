"""Addresses of webhooks."""

from django.urls import path

from tenants.administration.api import webhooks

ONE = "api/v1/webhooks/<str:webhook_id>"

urlpatterns = [
    path("api/v1/webhook-events", webhooks.WebhookEventsView.as_view()),
    path("api/v1/webhooks", webhooks.WebhooksView.as_view()),
    path(ONE, webhooks.WebhookView.as_view()),
    path(f"{ONE}/test", webhooks.WebhookTestView.as_view()),
    path(f"{ONE}/rotate-secret", webhooks.WebhookSecretRotationView.as_view()),
    path(f"{ONE}/deliveries", webhooks.WebhookDeliveriesView.as_view()),
    path(f"{ONE}/deliveries/<str:delivery_id>/replay", webhooks.WebhookReplayView.as_view()),
]

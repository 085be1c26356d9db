"""Addresses of single sign-on."""

from django.urls import path

from tenants.identity.sso import pages

PROVIDER = "accounts/sso/<str:organization_id>/<str:provider_id>"

urlpatterns = [
    path("accounts/sso", pages.ByAddress.as_view(), name="sso"),
    path(f"{PROVIDER}/start", pages.Start.as_view()),
    path(f"{PROVIDER}/callback", pages.Callback.as_view()),
    path(f"{PROVIDER}/acs", pages.AssertionConsumer.as_view()),
    path(f"{PROVIDER}/complete", pages.Complete.as_view()),
    path(f"{PROVIDER}/metadata", pages.Metadata.as_view()),
]

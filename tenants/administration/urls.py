"""Addresses of administration."""

from django.urls import URLPattern, path

from tenants.administration import encryption_urls, limit_urls, people_urls, project_urls, webhook_urls
from tenants.administration.api import domains, identity_providers

ORGANIZATION = "api/v1/organization"

single_sign_on = [
    path(f"{ORGANIZATION}/domains", domains.DomainsView.as_view()),
    path(f"{ORGANIZATION}/domains/<str:domain_id>", domains.DomainView.as_view()),
    path(f"{ORGANIZATION}/domains/<str:domain_id>/verify", domains.DomainVerificationView.as_view()),
    path(f"{ORGANIZATION}/identity-providers", identity_providers.IdentityProvidersView.as_view()),
    path(
        f"{ORGANIZATION}/identity-providers/<str:provider_id>",
        identity_providers.IdentityProviderView.as_view(),
    ),
    path(
        f"{ORGANIZATION}/identity-providers/<str:provider_id>/test",
        identity_providers.IdentityProviderTestView.as_view(),
    ),
    path(f"{ORGANIZATION}/sso-policy", identity_providers.SsoPolicyView.as_view()),
]

urlpatterns: list[URLPattern] = [
    *single_sign_on,
    *encryption_urls.urlpatterns,
    *limit_urls.urlpatterns,
    *people_urls.urlpatterns,
    *project_urls.urlpatterns,
    *webhook_urls.urlpatterns,
]

"""Addresses of deployments."""

from django.urls import path

from inference.deployments import api, policy_api

urlpatterns = [
    path("api/v1/deployments", api.DeploymentsView.as_view()),
    path("api/v1/deployments/<str:deployment_id>", api.DeploymentView.as_view()),
    path("api/v1/deployments/<str:deployment_id>/cache", api.DeploymentCacheView.as_view()),
    path("api/v1/deployments/<str:deployment_id>/policy", policy_api.DeploymentPolicyView.as_view()),
    path("api/v1/organization/cache", api.CacheView.as_view()),
    path("api/v1/deployments/<str:deployment_id>/stop", api.StopView.as_view()),
    path("api/v1/deployments/<str:deployment_id>/start", api.StartView.as_view()),
]

"""Addresses of limits and spend, of the organization's life, of support access, and of the operator."""

from django.urls import path

from tenants.administration.api import lifecycle, limits, operator, rate_limits, spend, support

ORGANIZATION = "v1/organization"
PROJECT = "v1/organization/projects/<str:project_id>"
OPERATOR = "api/v1/operator"
OPERATED = f"{OPERATOR}/organizations/<str:organization_id>"

urlpatterns = [
    path(f"{PROJECT}/rate_limits", rate_limits.RateLimitsView.as_view()),
    path(f"{PROJECT}/rate_limits/<str:rate_limit_id>", rate_limits.RateLimitView.as_view()),
    path(f"{ORGANIZATION}/spend_limit", spend.SpendLimitView.as_view()),
    path(f"{ORGANIZATION}/spend_alerts", spend.SpendAlertsView.as_view()),
    path(f"{ORGANIZATION}/spend_alerts/<str:alert_id>", spend.SpendAlertView.as_view()),
    path(f"{PROJECT}/spend_limit", spend.ProjectSpendLimitView.as_view()),
    path(f"{PROJECT}/spend_alerts", spend.ProjectSpendAlertsView.as_view()),
    path(f"{PROJECT}/spend_alerts/<str:alert_id>", spend.ProjectSpendAlertView.as_view()),
    path("api/v1/limits", limits.LimitsView.as_view()),
    path("api/v1/limits/<str:limit_id>", limits.LimitView.as_view()),
    path("api/v1/organization", lifecycle.OrganizationView.as_view()),
    path("api/v1/organization/closing", lifecycle.ClosingView.as_view()),
    path("api/v1/support-access", support.SupportAccessesView.as_view()),
    path("api/v1/support-access/<str:access_id>", support.SupportAccessView.as_view()),
    path(f"{OPERATOR}/plans", operator.PlansView.as_view()),
    path(f"{OPERATOR}/plans/<slug:name>", operator.PlanView.as_view()),
    path(f"{OPERATOR}/prices", operator.PricesView.as_view()),
    path(f"{OPERATOR}/policy", operator.PlatformPolicyView.as_view()),
    path(f"{OPERATOR}/organizations", operator.OperatedOrganizationsView.as_view()),
    path(OPERATED, operator.OperatedOrganizationView.as_view()),
    path(f"{OPERATED}/suspension", operator.SuspensionView.as_view()),
    path(f"{OPERATED}/support", operator.SupportVisitView.as_view()),
]

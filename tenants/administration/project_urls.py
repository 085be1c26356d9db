"""Addresses of projects and of what belongs to them: service accounts, keys, policies; and the audit log."""

from django.urls import path

from tenants.administration.api import (
    admin_keys,
    audit_exports,
    audit_logs,
    policies,
    project_keys,
    projects,
    service_accounts,
)

ORGANIZATION = "v1/organization"
PROJECT = "v1/organization/projects/<str:project_id>"
ACCOUNT = f"{PROJECT}/service_accounts/<str:service_account_id>"

urlpatterns = [
    path(f"{ORGANIZATION}/projects", projects.ProjectsView.as_view()),
    path(PROJECT, projects.ProjectView.as_view()),
    path(f"{PROJECT}/archive", projects.ProjectArchiveView.as_view()),
    path(f"{PROJECT}/service_accounts", service_accounts.ServiceAccountsView.as_view()),
    path(ACCOUNT, service_accounts.ServiceAccountView.as_view()),
    path(f"{ACCOUNT}/api_keys", service_accounts.ServiceAccountKeysView.as_view()),
    path(f"{PROJECT}/api_keys", project_keys.ProjectKeysView.as_view()),
    path(f"{PROJECT}/api_keys/<str:key_id>", project_keys.ProjectKeyView.as_view()),
    path(f"{PROJECT}/data_retention", policies.ProjectRetentionView.as_view()),
    path(f"{PROJECT}/model_permissions", policies.ModelPermissionsView.as_view()),
    path(f"{ORGANIZATION}/data_retention", policies.OrganizationRetentionView.as_view()),
    path(f"{ORGANIZATION}/admin_api_keys", admin_keys.AdminKeysView.as_view()),
    path(f"{ORGANIZATION}/admin_api_keys/<str:key_id>", admin_keys.AdminKeyView.as_view()),
    path(f"{ORGANIZATION}/audit_logs", audit_logs.AuditLogsView.as_view()),
    path("api/v1/audit-log/checkpoints", audit_exports.AuditCheckpointsView.as_view()),
    path("api/v1/audit-log/export", audit_exports.AuditExportView.as_view()),
    path("api/v1/audit-log/public-keys", audit_exports.SigningKeysView.as_view()),
]

"""Addresses of compliance."""

from django.urls import path

from tenants.compliance.api import erasures, evidence, exports, holds, retention

HERE = "api/v1/compliance"

urlpatterns = [
    path(f"{HERE}/exports", exports.ExportsView.as_view()),
    path(f"{HERE}/exports/<str:export_id>", exports.ExportView.as_view()),
    path(f"{HERE}/exports/<str:export_id>/file", exports.ExportFileView.as_view()),
    path("api/v1/account/exports", exports.OwnExportsView.as_view()),
    path("api/v1/account/exports/<str:export_id>", exports.OwnExportView.as_view()),
    path("api/v1/account/exports/<str:export_id>/file", exports.OwnExportFileView.as_view()),
    path(f"{HERE}/erasures", erasures.ErasuresView.as_view()),
    path(f"{HERE}/erasure-policy", erasures.ErasurePolicyView.as_view()),
    path(f"{HERE}/erasures/<str:erasure_id>", erasures.ErasureView.as_view()),
    path(f"{HERE}/erasures/<str:erasure_id>/approve", erasures.ErasureApprovalView.as_view()),
    path(f"{HERE}/erasures/<str:erasure_id>/certificate", erasures.ErasureCertificateView.as_view()),
    path(f"{HERE}/legal-holds", holds.LegalHoldsView.as_view()),
    path(f"{HERE}/legal-holds/<str:hold_id>", holds.LegalHoldView.as_view()),
    path(f"{HERE}/legal-holds/<str:hold_id>/lift", holds.LegalHoldLiftView.as_view()),
    path(f"{HERE}/retention", retention.RetentionView.as_view()),
    path(f"{HERE}/retention/runs", retention.RetentionRunsView.as_view()),
    path(f"{HERE}/evidence", evidence.EvidenceView.as_view()),
    path(f"{HERE}/evidence/page", evidence.EvidencePageView.as_view()),
]

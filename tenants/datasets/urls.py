"""Addresses of files and dataset versions."""

from django.urls import path

from tenants.datasets.api import files

urlpatterns = [
    path("v1/files", files.FilesView.as_view()),
    path("v1/files/<str:file_id>", files.FileView.as_view()),
    path("v1/files/<str:file_id>/content", files.FileContentView.as_view()),
    path("api/v1/sample-files", files.SampleFilesView.as_view()),
    path("api/v1/files/<str:file_id>/validation", files.FileValidationView.as_view()),
    path("api/v1/files/<str:file_id>/provenance", files.FileProvenanceView.as_view()),
    path("api/v1/dataset-versions", files.DatasetVersionsView.as_view()),
    path("api/v1/dataset-versions/<str:version_id>", files.DatasetVersionView.as_view()),
    path("api/v1/dataset-versions/<str:version_id>/rows", files.DatasetVersionRowsView.as_view()),
]

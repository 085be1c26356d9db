"""Addresses of usage, costs and statements."""

from django.urls import path

from inference.usage.api import costs, statements, usage

USAGE = "v1/organization/usage"
STATEMENTS = "api/v1/organization/statements"

urlpatterns = [
    path(f"{USAGE}/completions", usage.CompletionsUsageView.as_view()),
    path(f"{USAGE}/embeddings", usage.EmbeddingsUsageView.as_view()),
    path(f"{USAGE}/moderations", usage.ModerationsUsageView.as_view()),
    path(f"{USAGE}/images", usage.ImagesUsageView.as_view()),
    path(f"{USAGE}/audio_speeches", usage.SpeechesUsageView.as_view()),
    path(f"{USAGE}/audio_transcriptions", usage.TranscriptionsUsageView.as_view()),
    path(f"{USAGE}/vector_stores", usage.VectorStoresUsageView.as_view()),
    path(f"{USAGE}/code_interpreter_sessions", usage.CodeSessionsUsageView.as_view()),
    path(f"{USAGE}/file_search_calls", usage.FileSearchesUsageView.as_view()),
    path(f"{USAGE}/web_search_calls", usage.WebSearchesUsageView.as_view()),
    path("v1/organization/costs", costs.CostsView.as_view()),
    path(STATEMENTS, statements.StatementsView.as_view()),
    path(f"{STATEMENTS}/<str:month>", statements.StatementView.as_view()),
    path(f"{STATEMENTS}/<str:month>/csv", statements.StatementTableView.as_view()),
]

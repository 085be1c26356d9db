"""Addresses of prompt templates."""

from django.urls import path

from inference.prompts import api

urlpatterns = [
    path("api/v1/prompts", api.PromptsView.as_view()),
    path("api/v1/prompts/<str:prompt_id>", api.PromptView.as_view()),
    path("api/v1/prompts/<str:prompt_id>/versions", api.PromptVersionsView.as_view()),
    path("api/v1/prompts/<str:prompt_id>/versions/<str:version>", api.PromptVersionView.as_view()),
]

"""Addresses of stored responses. `POST /v1/responses` is the gateway's."""

from django.urls import path

from inference.responses import api

urlpatterns = [
    path("v1/responses/<str:response_id>", api.ResponseView.as_view()),
    path("v1/responses/<str:response_id>/cancel", api.ResponseCancelView.as_view()),
    path("v1/responses/<str:response_id>/input_items", api.ResponseItemsView.as_view()),
]

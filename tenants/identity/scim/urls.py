"""Addresses of SCIM."""

from django.urls import path

from tenants.identity.scim import views

urlpatterns = [
    path("scim/v2/ServiceProviderConfig", views.ServiceProviderConfigView.as_view()),
    path("scim/v2/ResourceTypes", views.ResourceTypesView.as_view()),
    path("scim/v2/ResourceTypes/<str:name>", views.ResourceTypesView.as_view()),
    path("scim/v2/Schemas", views.SchemasView.as_view()),
    path("scim/v2/Schemas/<str:name>", views.SchemasView.as_view()),
    path("scim/v2/Users", views.UsersView.as_view()),
    path("scim/v2/Users/<str:user_id>", views.UserView.as_view()),
    path("scim/v2/Groups", views.GroupsView.as_view()),
    path("scim/v2/Groups/<str:group_id>", views.GroupView.as_view()),
]

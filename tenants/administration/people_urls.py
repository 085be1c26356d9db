"""Addresses of people: members, roles, groups, invitations, grants."""

from django.urls import path

from tenants.administration.api import assignments, grants, groups, invites, project_users, roles, users

ORGANIZATION = "v1/organization"
PROJECT = "v1/organization/projects/<str:project_id>"
IN_PROJECT = "v1/projects/<str:project_id>"

urlpatterns = [
    path(f"{ORGANIZATION}/users", users.UsersView.as_view()),
    path(f"{ORGANIZATION}/users/<str:user_id>", users.UserView.as_view()),
    path(f"{ORGANIZATION}/users/<str:user_id>/roles", assignments.UserRolesView.as_view()),
    path(f"{ORGANIZATION}/users/<str:user_id>/roles/<str:role_id>", assignments.UserRoleView.as_view()),
    path(f"{ORGANIZATION}/roles", roles.RolesView.as_view()),
    path(f"{ORGANIZATION}/roles/<str:role_id>", roles.RoleView.as_view()),
    path(f"{ORGANIZATION}/groups", groups.GroupsView.as_view()),
    path(f"{ORGANIZATION}/groups/<str:group_id>", groups.GroupView.as_view()),
    path(f"{ORGANIZATION}/groups/<str:group_id>/users", groups.GroupUsersView.as_view()),
    path(f"{ORGANIZATION}/groups/<str:group_id>/users/<str:user_id>", groups.GroupUserView.as_view()),
    path(f"{ORGANIZATION}/groups/<str:group_id>/roles", assignments.GroupRolesView.as_view()),
    path(f"{ORGANIZATION}/groups/<str:group_id>/roles/<str:role_id>", assignments.GroupRoleView.as_view()),
    path(f"{ORGANIZATION}/invites", invites.InvitesView.as_view()),
    path(f"{ORGANIZATION}/invites/<str:invite_id>", invites.InviteView.as_view()),
    path(f"{PROJECT}/users", project_users.ProjectUsersView.as_view()),
    path(f"{PROJECT}/users/<str:user_id>", project_users.ProjectUserView.as_view()),
    path(f"{PROJECT}/groups", groups.ProjectGroupsView.as_view()),
    path(f"{PROJECT}/groups/<str:group_id>", groups.ProjectGroupView.as_view()),
    path(f"{IN_PROJECT}/roles", roles.ProjectRolesView.as_view()),
    path(f"{IN_PROJECT}/roles/<str:role_id>", roles.ProjectRoleView.as_view()),
    path(f"{IN_PROJECT}/users/<str:user_id>/roles", assignments.ProjectUserRolesView.as_view()),
    path(f"{IN_PROJECT}/users/<str:user_id>/roles/<str:role_id>", assignments.ProjectUserRoleView.as_view()),
    path(f"{IN_PROJECT}/groups/<str:group_id>/roles", assignments.ProjectGroupRolesView.as_view()),
    path(
        f"{IN_PROJECT}/groups/<str:group_id>/roles/<str:role_id>", assignments.ProjectGroupRoleView.as_view()
    ),
    path("api/v1/organization/transfer", users.OwnershipTransferView.as_view()),
    path("api/v1/invitations/accept", invites.InvitationAcceptanceView.as_view()),
    path("api/v1/grants", grants.GrantsView.as_view()),
    path("api/v1/restrictions", grants.RestrictionsView.as_view()),
]

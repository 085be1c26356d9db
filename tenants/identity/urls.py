"""Addresses of identity. The names of pages are allauth's, which looks them up by name."""

from allauth.account import views as account
from allauth.mfa.base import views as factors
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.urls import include, path, re_path

from tenants.identity import api, pages

urlpatterns = [
    path("accounts/sign-in", pages.SignIn.as_view(), name="account_login"),
    path("accounts/sign-in/factor", factors.authenticate, name="mfa_authenticate"),
    path("accounts/sign-in/passkey", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("accounts/sign-out", pages.SignOut.as_view(), name="account_logout"),
    path("accounts/sign-up", pages.SignUp.as_view(), name="account_signup"),
    path("accounts/invitation", pages.Join.as_view(), name="invitation"),
    path("accounts/inactive", account.account_inactive, name="account_inactive"),
    path("accounts/email", account.email, name="account_email"),
    path("accounts/email/sent", account.email_verification_sent, name="account_email_verification_sent"),
    re_path(r"^accounts/email/verify/(?P<key>[-:\w]+)$", account.confirm_email, name="account_confirm_email"),
    path("accounts/password", account.password_change, name="account_change_password"),
    path("accounts/password/set", account.password_set, name="account_set_password"),
    path("accounts/password/reset", account.password_reset, name="account_reset_password"),
    path("accounts/password/reset/sent", account.password_reset_done, name="account_reset_password_done"),
    path(
        "accounts/password/reset/done",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("accounts/reauthenticate", pages.Reauthenticate.as_view(), name="account_reauthenticate"),
    path("accounts/reauthenticate/factor", factors.reauthenticate, name="mfa_reauthenticate"),
    path(
        "accounts/reauthenticate/passkey",
        webauthn.reauthenticate_webauthn,
        name="mfa_reauthenticate_webauthn",
    ),
    path("accounts/factors", pages.Factors.as_view(), name="mfa_index"),
    path("accounts/factors/app", totp.activate_totp, name="mfa_activate_totp"),
    path("accounts/factors/app/remove", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("accounts/factors/codes", codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("accounts/factors/codes/renew", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("accounts/factors/codes/file", codes.download_recovery_codes, name="mfa_download_recovery_codes"),
    path("accounts/factors/keys", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("accounts/factors/keys/add", webauthn.add_webauthn, name="mfa_add_webauthn"),
    path("accounts/factors/keys/<int:pk>/remove", webauthn.remove_webauthn, name="mfa_remove_webauthn"),
    path("accounts/factors/keys/<int:pk>/name", webauthn.edit_webauthn, name="mfa_edit_webauthn"),
    path("api/v1/account", api.AccountView.as_view()),
    path("api/v1/account/sessions", api.AccountSessionsView.as_view()),
    path("api/v1/account/sessions/<str:session_id>", api.AccountSessionView.as_view()),
    path("api/v1/members/<str:user_id>/sessions", api.MemberSessionsView.as_view()),
    path("", include("tenants.identity.sso.urls")),
    path("", include("tenants.identity.scim.urls")),
]

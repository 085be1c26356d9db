"""How people may sign up: the operator's one policy."""

from tenants.limits.models import PlatformPolicy, SignUpMode


def policy() -> PlatformPolicy:
    """The platform's policy."""
    return PlatformPolicy.objects.select_related("trial_plan").get(pk=1)


def sign_up_mode() -> SignUpMode:
    """Who may make an organization now: `open`, `invite_only` or `off`."""
    return SignUpMode(policy().sign_up_mode)

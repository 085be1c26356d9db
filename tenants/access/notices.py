"""What people are told by e-mail about their keys."""

from django.conf import settings
from django.core.mail import send_mail

from tenants.access.models import ApiKey
from tenants.access.services.leaks import whom_to_tell
from tenants.organizations.models import Organization

SUBJECT = "An API key of yours was found in public"
WORDS = """\
The secret of the API key "{name}" ({redacted}) of {organization} was reported as found in public.

{ending} If you still need it, make a new key in the console and look through what the old one did:

{url}/settings/keys
"""
REVOKED = "The key was revoked at once: programs that use it are refused."
ENDED = "It was the key's previous secret, which opens nothing any more; the present one goes on working."


def tell_of_leak(key: ApiKey) -> None:
    """Tell whoever answers for a key that its secret was found in public, and what was done."""
    organization = Organization.objects.get(pk=key.organization_id)
    words = WORDS.format(
        name=key.name,
        redacted=key.redacted,
        organization=organization.name,
        ending=REVOKED if key.revoked_at else ENDED,
        url=settings.PUBLIC_URL,
    )
    for person in whom_to_tell(key):
        send_mail(SUBJECT, words, None, [person.email])

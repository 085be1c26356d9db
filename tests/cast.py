"""The cast of every story: an owner, a teammate in the same organization, and a stranger in another."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import pytest
from django.core.wsgi import get_wsgi_application
from django.test import Client, override_settings

from kernel.tenancy.scope import acting_for
from tenants.access.models import User
from tenants.access.permissions import Role
from tenants.access.principal import Principal, granted
from tenants.access.services import keys, people
from tenants.access.sessions import principal_for
from tenants.organizations.models import Organization, Project
from tenants.organizations.services.founding import found_organization

PASSWORD = "correct horse battery staple"
HOST = "127.0.0.1"
WORKING = (Role.DATA_ENGINEER, Role.MODEL_TRAINER, Role.DEPLOYER)


@dataclass(frozen=True)
class Person:
    """Somebody with a browser, an API key, and the official client."""

    user: User
    organization: Organization
    project: Project
    secret: str = field(repr=False)

    @property
    def browser(self) -> Client:
        """A signed-in browser (the CSRF check is Django's test client's to skip)."""
        client = Client(SERVER_NAME=HOST)
        client.force_login(self.user, backend="tenants.access.backends.EmailBackend")
        prove(client, self.user)
        return client

    @property
    def program(self) -> Client:
        """A program with the API key."""
        return Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {self.secret}"})

    @property
    def openai(self) -> openai.OpenAI:
        """The official client, talking to the control plane in this process."""
        transport = httpx.WSGITransport(app=get_wsgi_application(), raise_app_exceptions=False)
        return openai.OpenAI(
            api_key=self.secret,
            base_url=f"http://{HOST}/v1",
            max_retries=0,
            http_client=httpx.Client(transport=transport),
        )

    @property
    def principal(self) -> Principal:
        """The caller that the person's session stands for."""
        found = principal_for(self.user, str(self.organization.pk), str(self.project.pk))
        assert found is not None
        return found

    def acting(self) -> Any:
        """The scope of the person's organization."""
        return acting_for(self.organization.pk)


def prove(client: Client, user: User, *, seconds_ago: float = 0.0) -> None:
    """Have the browser's session remember that the person entered their password some time ago."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - seconds_ago}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()


def new_person(*roles: Role, joining: Person | None = None) -> Person:
    """A new person: the owner of a new organization, or with these roles in somebody else's."""
    email = f"{secrets.token_hex(6)}@people.example"
    user = people.register_user(email, PASSWORD, "A person")
    if joining is None:
        organization, project = found_organization(f"Organization of {email}")
        roles = roles or (Role.OWNER,)
    else:
        organization, project = joining.organization, joining.project
    with acting_for(organization.pk):
        people.add_member(user, *roles)
        people.open_project_to(user, project)
        key = keys.make_api_key("A key", project=project, by=user)
    return Person(user, organization, project, key.secret)


@pytest.fixture
def owner(stores: Any) -> Person:
    """Owns a fresh organization."""
    return new_person()


@pytest.fixture
def teammate(owner: Person) -> Person:
    """Works in the owner's project with data, models and deployments, and administers nothing."""
    return new_person(*WORKING, joining=owner)


@pytest.fixture
def stranger(stores: Any) -> Person:
    """Owns another organization, and must see nothing of the owner's."""
    return new_person()


@pytest.fixture
def settings_with() -> Any:
    """Django's settings, some of them other for a while: `with settings_with(MAX_FILE_BYTES=10): …`."""
    return override_settings


@pytest.fixture
def a_key_that_may(owner: Person) -> Callable[..., Principal]:
    """Makes callers of the owner's project with just these permissions."""

    def make(*permissions: str) -> Principal:
        held = granted(permissions)
        return Principal(owner.organization.pk, owner.project.pk, held)

    return make

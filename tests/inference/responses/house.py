"""What tests of stored responses do: serve both planes at one address, and look at what is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.test import override_settings

from inference.deployments import snapshot
from inference.deployments.gateways import gateway_config
from inference.gateway.application import Gateway
from inference.gateway.contract import Principal
from inference.gateway.ids import uuid7
from inference.gateway.responses.keeping import FinishedResponse, items_of
from inference.responses import keeping
from inference.responses.keeping import DatabaseKeeper
from inference.responses.models import StoredResponse
from tenants.organizations.services import policies
from tests.cast import Person
from tests.inference.batches.house import MODEL, deploy
from tests.inference.deployments.house import base_model
from tests.inference.gateway.fake_tgi import FakeTgi
from tests.inference.gateway.house import served
from tests.inference.gateway.test_responses import TOOLS_TEMPLATE
from training.registry.models import BaseModel

KEEPING = "modified_abuse_monitoring"
ZERO = "zero_data_retention"


def furnish(person: Person, *, retention: str = KEEPING) -> None:
    """The person's project has the model, their key is known, and the organization keeps what it keeps."""
    deploy(person)
    BaseModel.objects.filter(pk=base_model().pk).update(chat_template=TOOLS_TEMPLATE)
    retain(person, retention)
    publish_keys(person)


def retain(person: Person, retention: str) -> None:
    """Choose the organization's data retention, and tell the gateways."""
    with person.acting():
        policies.change_retention(retention)
    snapshot.publish_projects(person.organization.pk)


def publish_keys(person: Person) -> None:
    """Tell the gateways what keys may do now."""
    snapshot.publish_keys_of_people(person.organization.pk)
    snapshot.publish_limits(person.organization.pk)


def rows(person: Person) -> list[StoredResponse]:
    """What is stored in the person's organization."""
    with person.acting():
        return list(StoredResponse.objects.order_by("pk"))


def store(person: Person, text: str, *, arguments: str = "{}") -> StoredResponse:
    """A response of the person's to this text."""
    retain(person, KEEPING)
    request_id = uuid7()
    call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "find", "arguments": arguments}
    keeping._keep(
        FinishedResponse(
            request_id=request_id,
            principal=Principal(
                organization_id=str(person.organization.pk),
                project_id=str(person.project.pk),
                key_id=None,
                user_id=str(person.user.pk),
                permissions=frozenset(),
            ),
            previous_id=None,
            input=items_of(text, request_id),
            response={"id": f"resp_{request_id.hex}", "model": "support", "output": [call]},
        )
    )
    with person.acting():
        row: StoredResponse = StoredResponse.objects.get(pk=request_id)
    return row


@dataclass
class Desk:
    """Both planes at one address, before a scripted model server."""

    tgi: FakeTgi
    url: str

    def client(self, person: Person) -> openai.AsyncOpenAI:
        """The official client with the person's key."""
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=person.secret, max_retries=0)

    async def call(self, person: Person, method: str, path: str, **options: Any) -> httpx.Response:
        """A plain request with the person's key."""
        headers = {"authorization": f"Bearer {person.secret}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20) as client:
            return await client.request(method, path, **options)

    @property
    def prompts(self) -> list[str]:
        """What the model server was asked."""
        return [seen.body["inputs"] for seen in self.tgi.seen]


def turns(*said: tuple[str, str]) -> str:
    """These turns in the words of the model's template, up to where the answer begins."""
    written = [f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in said]
    return "".join(written) + "<|im_start|>assistant\n"


async def furnished(person: Person, **options: Any) -> None:
    """`furnish`, from asynchronous code."""
    await sync_to_async(furnish)(person, **options)


@asynccontextmanager
async def opened() -> AsyncIterator[Desk]:
    """A desk; the model's alias is `MODEL`."""
    control_plane: Any = get_asgi_application()
    async with FakeTgi() as tgi:
        with override_settings(POD_URL=tgi.url):
            gateway = Gateway(gateway_config(), keeper=DatabaseKeeper())

            async def application(scope: Any, receive: Any, send: Any) -> None:
                if scope["type"] == "lifespan" or gateway.serves(scope["path"]):
                    await gateway(scope, receive, send)
                else:
                    await control_plane(scope, receive, send)

            async with served(application) as url:
                yield Desk(tgi, url)


__all__ = [
    "MODEL",
    "Desk",
    "furnish",
    "furnished",
    "opened",
    "publish_keys",
    "retain",
    "rows",
    "store",
    "turns",
]

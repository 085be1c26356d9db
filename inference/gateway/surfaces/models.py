"""The surface `GET /v1/models` and `GET /v1/models/{model}`: the deployments of the key's project."""

import orjson

from inference.gateway.answering.completion import Completer, may_use
from inference.gateway.authentication import Authenticator, identified, must
from inference.gateway.http import Exchange
from inference.gateway.snapshot import Snapshot
from inference.gateway.surfaces.rendering import model_object

PATH = "/v1/models"


class ModelsSurface:
    """Lists what can be used now; tells of any deployment asked for by name."""

    def __init__(self, *, authenticator: Authenticator, completer: Completer, snapshot: Snapshot) -> None:
        self._authenticator, self._completer, self._snapshot = authenticator, completer, snapshot

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`."""
        principal = await identified(exchange, self._authenticator)
        must(principal, "inference.complete")
        organization_id = principal.organization_id
        model = exchange.path.removeprefix(PATH).removeprefix("/")
        if model:
            deployment = await self._completer.deployment(principal, model)
            await exchange.answer(orjson.dumps(model_object(deployment, organization_id)))
        else:
            project = await self._snapshot.project(principal.project_id)
            found = project.deployments_for(principal) if project else ()
            ready = [
                model_object(one, organization_id)
                for one in found
                if one.state == "ready" and may_use(principal, project, one.alias)
            ]
            await exchange.answer(orjson.dumps({"object": "list", "data": ready}))

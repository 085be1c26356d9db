"""The web process: the gateway for inference, Django for the rest, Channels for WebSockets."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
control_plane = get_asgi_application()

# Django must be ready before the rooms' models are imported.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import URLRouter  # noqa: E402

from inference.chat.generation import interrupt_all  # noqa: E402
from inference.chat.routing import websocket_urlpatterns  # noqa: E402
from inference.deployments.gateways import gateway_config  # noqa: E402
from inference.gateway.application import Gateway  # noqa: E402
from inference.responses.keeping import DatabaseKeeper  # noqa: E402
from kernel import heap  # noqa: E402
from kernel.crypto import signing  # noqa: E402
from kernel.crypto.providers.chosen import chosen  # noqa: E402

# A key file that must not be used stops the start, not the first upload.
chosen()
signing.signing_keys()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Any], Awaitable[None]]

gateway = Gateway(gateway_config(), keeper=DatabaseKeeper())
websockets = AuthMiddlewareStack(URLRouter(websocket_urlpatterns(gateway)))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each connection to the plane that serves it."""
    match scope["type"]:
        case "lifespan":
            await _lifespan(receive, send)
        case "websocket":
            await websockets(scope, receive, send)
        case "http" if gateway.serves(scope["path"]):
            await gateway(scope, receive, send)
        case _:
            await control_plane(dict(scope), receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Start the gateway before the first request, stop it after the last."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await gateway.start()
            heap.settle()
            await send({"type": "lifespan.startup.complete"})
        else:
            # Answers under way are kept as far as they came, before the gateway lets go of the pod.
            await interrupt_all()
            await gateway.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return

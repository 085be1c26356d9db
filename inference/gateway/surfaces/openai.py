"""OpenAI's surfaces that generate: `POST /v1/chat/completions` and `POST /v1/completions`."""

from collections.abc import Callable

from inference.gateway.authentication import Authenticator, identified, must
from inference.gateway.contract import GatewayConfig, GenerationRequest
from inference.gateway.http import Exchange
from inference.gateway.surfaces.generating import Dialect, GenerationSurface


class OpenAiSurface:
    """Reads requests by `parse` and writes answers in a dialect."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        authenticator: Authenticator,
        generation: GenerationSurface,
        parse: Callable[[bytes], GenerationRequest],
        dialect: Dialect,
    ) -> None:
        self._config, self._authenticator, self._generation = config, authenticator, generation
        self._parse, self._dialect = parse, dialect

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Raises `GatewayFault`, `ClientLeft`."""
        principal = await identified(exchange, self._authenticator)
        must(principal, "inference.complete")
        request = self._parse(await exchange.body(self._config))
        await self._generation.generate(exchange, principal, request, self._dialect)

"""How a gateway inside one of our processes is configured."""

from django.conf import settings

from inference.gateway.contract import GatewayConfig


def gateway_config() -> GatewayConfig:
    """The configuration that follows from the settings."""
    return GatewayConfig(
        valkey_url=settings.VALKEY_URL,
        api_key_pepper=settings.API_KEY_PEPPER,
        pod_key=settings.POD_KEY,
        spool_dir=settings.SPOOL_DIR,
        trusted_proxies=tuple(settings.TRUSTED_PROXIES),
    )

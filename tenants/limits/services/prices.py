"""The price book: what a model costs or did cost, and what a request came to."""

from datetime import datetime

from django.db.models import QuerySet
from django.db.models.functions import Now

from kernel.errors import InvalidRequest
from tenants.limits.models import Price

CURRENCY = "USD"
MILLION = 1_000_000


def prices_now() -> dict[str, Price]:
    """The price in force of every model that has one."""
    rows: QuerySet[Price] = Price.objects.filter(valid_from__lte=Now()).order_by("model", "-valid_from")
    return {price.model: price for price in rows.distinct("model")}


class PriceBook:
    """Every price there was, is and is announced, read once: what a model cost at any moment."""

    def __init__(self) -> None:
        self._prices: dict[str, list[Price]] = {}
        for price in Price.objects.order_by("model", "-valid_from"):
            self._prices.setdefault(price.model, []).append(price)

    def at(self, moment: datetime, *models: str) -> Price | None:
        """The price at a moment of the first of these models that had one then."""
        for model in models:
            for price in self._prices.get(model, ()):
                if price.valid_from <= moment:
                    return price
        return None


def cost_microunits(price: Price | None, *, input_tokens: int, output_tokens: int) -> int:
    """What tokens cost, rounded up to a whole micro-unit; a model without a price costs nothing."""
    if price is None:
        return 0
    parts = (
        price.input_microunits_per_million_tokens * input_tokens
        + price.output_microunits_per_million_tokens * output_tokens
    )
    return -(-parts // MILLION)


def training_cost_microunits(price: Price | None, *, seconds: int = 0, tokens: int = 0) -> int:
    """What training cost, rounded up to a whole micro-unit."""
    if price is None:
        return 0
    by_time = price.training_microunits_per_minute * seconds
    by_tokens = price.training_microunits_per_million_tokens * tokens
    return -(-by_time // 60) + -(-by_tokens // MILLION)


def require_known_currency(currency: str) -> None:
    """Raise `InvalidRequest` for a currency in which nothing is counted."""
    if currency != CURRENCY:
        raise InvalidRequest(f"'currency' must be {CURRENCY}: spend is counted in it.", param="currency")

"""What every test of usage stands on: the stream that gateways write to."""

from typing import Any

import pytest
import redis
from django.conf import settings


@pytest.fixture
def valkey(stores: Any) -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL)

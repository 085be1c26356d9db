"""The usage record of one request, as it leaves the gateway."""

from dataclasses import dataclass
from typing import Literal

import orjson

Status = Literal["completed", "cancelled", "failed"]
CacheOutcome = Literal["hit", "miss", "off"]


@dataclass(frozen=True, kw_only=True)
class UsageRecord:
    """One per request that reached a model. `started_at` is in Unix seconds; counts are tokens.

    The fields with a default say why it was served as it was; None is "nothing to tell". `permission` is what
    allowed it and by what ("key inference.complete"), `closest_limit` the limit of which least was left,
    `route` the replicas that answered, by hashes of their addresses, `guardrail` what a guardrail did,
    `canary` the arm of a split. `batch` marks a line of a batch.
    """

    request_id: str
    organization_id: str
    project_id: str
    key_id: str | None
    user_id: str | None
    deployment_id: str
    model_version_id: str
    model: str
    digest: str
    surface: str
    prompt_tokens: int
    completion_tokens: int
    status: Status
    finish_reason: str | None
    started_at: float
    first_token_ms: float | None
    duration_ms: float
    batch: bool = False
    permission: str | None = None
    closest_limit: str | None = None
    cache: CacheOutcome | None = None
    route: str | None = None
    guardrail: str | None = None
    canary: str | None = None

    def encoded(self) -> bytes:
        """JSON on one line."""
        return orjson.dumps(self)

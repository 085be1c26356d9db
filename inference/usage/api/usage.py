"""REST: what was used, as OpenAI's usage API tells it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import Q
from drf_spectacular.utils import extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.usage import reading
from inference.usage.api import filters, windows
from inference.usage.cells import Sums
from inference.usage.models import Family
from inference.usage.reading import Window
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission

OF_A_MODEL = ("project_id", "user_id", "api_key_id", "model")
BY_A_CALLER = ("project_ids", "user_ids", "api_key_ids")
# There is one tier of service.
TIER = "default"


@dataclass(frozen=True)
class Usage:
    """One result type: which totals it shows and how, what it may be narrowed and grouped by.

    Without a family there is nothing of its kind on this platform, and every bucket is empty.
    """

    name: str
    filters: tuple[str, ...]
    groups: tuple[str, ...]
    family: Family | None = None
    show: Callable[[Sums], dict[str, Any]] = lambda sums: {}

    @property
    def schema(self) -> Any:
        """How the address is described."""
        return extend_schema(
            parameters=[
                *windows.parameters(windows.LIMITS),
                *filters.parameters(self.filters, self.groups),
            ],
            responses=page_shape,
        )

    def result(self, groups: list[str], values: tuple[Any, ...], sums: Sums) -> dict[str, Any]:
        """One result of a bucket; what it is not grouped by is null."""
        found = dict(zip(_columns(groups), values, strict=True))
        named = {
            group: (TIER if group == "service_tier" else filters.shown(group, found[filters.COLUMNS[group]]))
            if group in groups
            else None
            for group in self.groups
        }
        return {"object": f"organization.usage.{self.name}.result", **self.show(sums), **named}


def page_of(
    window: Window, following: str | None, results: dict[Any, list[dict[str, Any]]]
) -> dict[str, Any]:
    """A page of buckets, those without results too."""
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": int(start.timestamp()),
                "end_time": int(end.timestamp()),
                "results": results.get(start, []),
            }
            for start, end in window.buckets()
        ],
        "has_more": following is not None,
        "next_page": following,
    }


def _columns(groups: list[str]) -> list[str]:
    return [filters.COLUMNS[group] for group in groups if group in filters.COLUMNS]


def _completions(sums: Sums) -> dict[str, Any]:
    uncached = sums.prompt_tokens - sums.cached_prompt_tokens
    return {
        "input_tokens": sums.prompt_tokens,
        "input_cached_tokens": sums.cached_prompt_tokens,
        "input_cache_write_tokens": 0,
        "input_uncached_tokens": uncached,
        "output_tokens": sums.completion_tokens,
        "input_text_tokens": uncached,
        "output_text_tokens": sums.completion_tokens,
        "input_cached_text_tokens": sums.cached_prompt_tokens,
        "input_audio_tokens": 0,
        "input_cached_audio_tokens": 0,
        "output_audio_tokens": 0,
        "input_image_tokens": 0,
        "input_cached_image_tokens": 0,
        "output_image_tokens": 0,
        "num_model_requests": sums.requests,
    }


def _input(sums: Sums) -> dict[str, Any]:
    return {"input_tokens": sums.prompt_tokens, "num_model_requests": sums.requests}


class BucketSerializer(serializers.Serializer[Any]):
    """One minute, hour or day."""

    object = serializers.CharField()
    start_time = serializers.IntegerField()
    end_time = serializers.IntegerField()
    results = serializers.ListField(child=serializers.DictField())


page_shape = inline_serializer(
    name="UsagePage",
    fields={
        "object": serializers.CharField(),
        "data": BucketSerializer(many=True),
        "has_more": serializers.BooleanField(),
        "next_page": serializers.CharField(allow_null=True),
    },
)

COMPLETIONS = Usage(
    "completions",
    (*BY_A_CALLER, "models", "batch"),
    (*OF_A_MODEL, "batch", "service_tier"),
    Family.COMPLETIONS,
    _completions,
)
EMBEDDINGS = Usage("embeddings", (*BY_A_CALLER, "models"), OF_A_MODEL, Family.EMBEDDINGS, _input)
MODERATIONS = Usage("moderations", (*BY_A_CALLER, "models"), OF_A_MODEL, Family.MODERATIONS, _input)
IMAGES = Usage("images", (*BY_A_CALLER, "models", "sources", "sizes"), (*OF_A_MODEL, "size", "source"))
SPEECHES = Usage("audio_speeches", (*BY_A_CALLER, "models"), OF_A_MODEL)
TRANSCRIPTIONS = Usage("audio_transcriptions", (*BY_A_CALLER, "models"), OF_A_MODEL)
VECTOR_STORES = Usage("vector_stores", ("project_ids",), ("project_id",))
CODE_SESSIONS = Usage("code_interpreter_sessions", ("project_ids",), ("project_id",))
FILE_SEARCHES = Usage(
    "file_searches", (*BY_A_CALLER, "vector_store_ids"), (*OF_A_MODEL[:3], "vector_store_id")
)
WEB_SEARCHES = Usage(
    "web_searches", (*BY_A_CALLER, "models", "context_levels"), (*OF_A_MODEL, "context_level")
)


class _UsageView(OrganizationEndpoint):
    """What was used of one kind, by minute, hour or day."""

    permission = Permission.USAGE_READ
    usage: ClassVar[Usage]

    def get(self, request: Request) -> Response:
        query = request.query_params
        window, following = windows.read_window(query, windows.LIMITS)
        wanted = filters.read_filters(query, self.usage.filters)
        groups = filters.read_groups(query, self.usage.groups)
        return Response(page_of(window, following, self._results(window, wanted, groups)))

    def _results(self, window: Window, wanted: Q, groups: list[str]) -> dict[Any, list[dict[str, Any]]]:
        if self.usage.family is None:
            return {}
        wanted &= Q(family=self.usage.family.value)
        rows = reading.sums_by(window, wanted, _columns(groups))
        return {
            start: [self.usage.result(groups, values, sums) for values, sums in found]
            for start, found in rows.items()
        }


@extend_schema_view(get=COMPLETIONS.schema)
class CompletionsUsageView(_UsageView):
    """What was generated: chat, completions and whatever else makes text."""

    usage = COMPLETIONS


@extend_schema_view(get=EMBEDDINGS.schema)
class EmbeddingsUsageView(_UsageView):
    """What was embedded."""

    usage = EMBEDDINGS


@extend_schema_view(get=MODERATIONS.schema)
class ModerationsUsageView(_UsageView):
    """What was moderated."""

    usage = MODERATIONS


@extend_schema_view(get=IMAGES.schema)
class ImagesUsageView(_UsageView):
    """Images: there are none."""

    usage = IMAGES


@extend_schema_view(get=SPEECHES.schema)
class SpeechesUsageView(_UsageView):
    """Speeches: there are none."""

    usage = SPEECHES


@extend_schema_view(get=TRANSCRIPTIONS.schema)
class TranscriptionsUsageView(_UsageView):
    """Transcriptions: there are none."""

    usage = TRANSCRIPTIONS


@extend_schema_view(get=VECTOR_STORES.schema)
class VectorStoresUsageView(_UsageView):
    """Vector stores: there are none."""

    usage = VECTOR_STORES


@extend_schema_view(get=CODE_SESSIONS.schema)
class CodeSessionsUsageView(_UsageView):
    """Sessions of code interpreters: there are none."""

    usage = CODE_SESSIONS


@extend_schema_view(get=FILE_SEARCHES.schema)
class FileSearchesUsageView(_UsageView):
    """Searches of files: there are none."""

    usage = FILE_SEARCHES


@extend_schema_view(get=WEB_SEARCHES.schema)
class WebSearchesUsageView(_UsageView):
    """Searches of the web: there are none."""

    usage = WEB_SEARCHES

"""The table of `docs/api.md`: each of OpenAI's operations, and whether it is served, in part or not."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from config.coverage.published import Operation, published, served

_TEXT_ONLY = "text in and out; no images, audio, files, storing, searches ([parameters](gateway.md))"
_ALL_WHOLE = "whole, not as a stream: none is made in the background"
_BY_A_FEATURE = "over OpenAI-compatible servers with the feature `{}` ([gateway](gateway.md)), else 400"
_EMPTY = "empty: nothing of the kind is served"
PARTIAL: Mapping[str, str] = {
    "POST /v1/chat/completions": _TEXT_ONLY,
    "POST /v1/completions": "prompts are texts, not tokens; `echo` without `logprobs`",
    "POST /v1/responses": "text and functions, stored where the data retention allows it; no `conversation`, "
    "no `background` ([parameters](gateway.md))",
    "GET /v1/responses/{response_id}": _ALL_WHOLE,
    "POST /v1/responses/{response_id}/cancel": "refused: a stored response has ended",
    "POST /v1/embeddings": _BY_A_FEATURE.format("embeddings"),
    "POST /v1/moderations": _BY_A_FEATURE.format("moderations") + "; texts only",
    "POST /v1/images/generations": _BY_A_FEATURE.format("images") + "; whole, as `b64_json`",
    **{
        f"GET /v1/organization/usage/{kind}": _EMPTY
        for kind in (
            "audio_speeches",
            "audio_transcriptions",
            "code_interpreter_sessions",
            "file_search_calls",
            "vector_stores",
            "web_search_calls",
        )
    },
    "GET /v1/organization/usage/images": "empty: requests for images are counted among completions",
}
_NO_TOOLS = "no tools are run on the platform: functions are called by their callers"
_NO_SPEECH = "speech and sound are not served"
# Why not, by how the path begins; the longest that fits counts.
REASONS: Mapping[str, str] = {
    "/v1/assistants": "OpenAI deprecates it in favour of responses",
    "/v1/threads": "OpenAI deprecates it in favour of responses",
    "/v1/audio": _NO_SPEECH,
    "/v1/chat/completions": "chat completions are not stored; responses can be",
    "/v1/chatkit": "the console has a chat of its own",
    "/v1/containers": _NO_TOOLS,
    "/v1/content_provenance_checks": "nothing is marked, so there is nothing to check",
    "/v1/conversations": "responses go on by `previous_response_id`; the console's conversations have an API "
    "of their own",
    "/v1/evals": "evaluations belong to trainings here",
    "/v1/fine_tuning/alpha": "trainings use no graders",
    "/v1/fine_tuning/checkpoints": "a model belongs to its project; other projects are not given it",
    "/v1/fine_tuning/jobs": "a training runs to its end or is cancelled",
    "/v1/images": "pictures that are sent along are not taken",
    "/v1/models": "a model is taken out of service by ending its deployment",
    "/v1/organization": "not part of how organizations are kept here",
    "/v1/organization/certificates": "keys can be bound to networks; client certificates are not used",
    "/v1/organization/projects/{project_id}/certificates": "client certificates are not used",
    "/v1/organization/projects/{project_id}/hosted_tool_permissions": _NO_TOOLS,
    "/v1/realtime": _NO_SPEECH,
    "/v1/responses/compact": "callers keep their items, and shorten them as they like",
    "/v1/responses/input_tokens": "`/tgi/{model}/chat_tokenize` tells the tokens of a conversation",
    "/v1/skills": _NO_TOOLS,
    "/v1/uploads": "files are sent whole to `/v1/files`",
    "/v1/vector_stores": "documents are not searched here",
    "/v1/videos": "videos are not made here",
}
_HEAD = """\
# OpenAI's API here

Every operation that OpenAI publishes, and whether it is served: {served} are, {partial} of them in part; \
{missing} are not. What a served operation cannot do it refuses by name; nothing is dropped. \
The table is made by

    python -m config.onemachine.with_environment python -m config.coverage.table > docs/api.md

from the list of OpenAI's operations, the control plane's own description (`frontend/openapi.json`) and the \
gateway's addresses; a test keeps it current. The platform's own operations, under `/api/v1`, stand in that \
description, and TGI's in [gateway.md](gateway.md).
"""


def page() -> str:
    """All of `docs/api.md`."""
    operations, ours = published(), served()
    here = [one for one in operations if one.place in ours]
    partial = [one for one in here if _name(one) in PARTIAL]
    head = _HEAD.format(served=len(here), partial=len(partial), missing=len(operations) - len(here))
    parts = [_section(group, list(found), ours) for group, found in groupby(operations, key=_group)]
    return "\n".join([head, *parts])


def _section(group: str, operations: Iterable[Operation], ours: frozenset[tuple[str, str]]) -> str:
    rows = [f"| `{_name(one)}` | {_state(one, served=one.place in ours)} |" for one in operations]
    return "\n".join([f"## {group}", "", "| operation | |", "|---|---|", *rows, ""])


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _group(operation: Operation) -> str:
    """The first words of the path."""
    words = operation.path.removeprefix("/v1/").split("/")
    deep = words[0] == "organization" and len(words) > 1
    return f"{words[0]}/{words[1]}" if deep else words[0]


def _state(operation: Operation, *, served: bool) -> str:
    if not served:
        return f"no: {reason_for(operation)}"
    part = PARTIAL.get(_name(operation))
    return f"in part: {part}" if part else "yes"


def reason_for(operation: Operation) -> str:
    """Why an operation is not served. Raises `LookupError` where nobody has said."""
    fitting = [start for start in REASONS if operation.path.startswith(start)]
    if not fitting:
        raise LookupError(f"Say in {__name__}.REASONS why {_name(operation)} is not served.")
    return REASONS[max(fitting, key=len)]


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201

"""Which models a project has under which names: asked by rooms that do not know deployments."""

from collections.abc import Callable
from uuid import UUID

ModelNames = Callable[[UUID], list[str]]
_sources: list[ModelNames] = []


def names_models(source: ModelNames) -> ModelNames:
    """Register what answers the model names of a project of the current organization, in order."""
    if source not in _sources:
        _sources.append(source)
    return source


def models_of(project_id: UUID) -> list[str]:
    """The names of a project's models."""
    return [name for source in _sources for name in source(project_id)]

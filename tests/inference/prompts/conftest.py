"""Fixtures of prompt templates' tests."""

from tests.inference.deployments.conftest import pod

__all__ = ["pod"]

"""OpenAI's client for Node and Vercel's AI SDK; the stories themselves are JavaScript, in `node`."""

import pytest

from tests.e2e.conformance.node_stories import STORIES, run_story
from tests.e2e.conformance.places import Place


@pytest.mark.parametrize("story", sorted(path.name for path in STORIES.glob("*.test.mjs")))
def test_a_client_for_node_does_what_its_users_expect(scripted: Place, story: str) -> None:
    run_story(story, scripted)

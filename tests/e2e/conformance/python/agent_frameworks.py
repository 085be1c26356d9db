"""Two frameworks for agents, as they come: OpenAI's own, and Pydantic AI."""

import os
from typing import Any

import agents
import pydantic_ai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

GREETING = "Hello world!"
BASE, KEY = os.environ["BASE_URL"], os.environ["API_KEY"]


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


BERN = City(name="Bern", inhabitants=134000)


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel])
def pydantics(request: pytest.FixtureRequest) -> Any:
    return request.param("support", provider=OpenAIProvider(base_url=BASE, api_key=KEY))


@pytest.fixture(params=[agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel])
def openais(request: pytest.FixtureRequest) -> Any:
    agents.set_tracing_disabled(True)
    return request.param("support", AsyncOpenAI(base_url=BASE, api_key=KEY, max_retries=0))


async def test_pydantic_ai_answers_and_streams(pydantics: Any) -> None:
    agent = pydantic_ai.Agent(pydantics, instructions="Be brief.")
    assert (await agent.run("Hi")).output == GREETING
    async with agent.run_stream("Hi") as stream:
        assert "".join([text async for text in stream.stream_text(delta=True)]) == GREETING


async def test_pydantic_ai_gives_what_fits_a_model(pydantics: Any) -> None:
    for kind in (City, pydantic_ai.ToolOutput(City), pydantic_ai.NativeOutput(City)):
        assert (await pydantic_ai.Agent(pydantics, output_type=kind).run("'Bern' 134000")).output == BERN


async def test_pydantic_ai_calls_a_function(pydantics: Any) -> None:
    agent, called = pydantic_ai.Agent(pydantics), []

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tells the weather."""
        called.append(city)
        return "sunny"

    assert (await agent.run("What is the weather in 'Bern'?")).output == GREETING
    assert called == ["Bern"]


async def test_openais_agents_answer_and_stream(openais: Any) -> None:
    agent = agents.Agent(name="A helper", instructions="Be brief.", model=openais)
    assert (await agents.Runner.run(agent, "Hi")).final_output == GREETING
    streamed = agents.Runner.run_streamed(agent, "Hi")
    async for _ in streamed.stream_events():
        pass
    assert streamed.final_output == GREETING


async def test_openais_agents_call_functions_strict_or_not_and_give_what_fits_a_model(openais: Any) -> None:
    for strict in (True, False):

        @agents.function_tool(strict_mode=strict)
        def weather(city: str) -> str:
            """Tells the weather."""
            return f"sunny in {city}"

        agent = agents.Agent(name="A helper", model=openais, tools=[weather])
        result = await agents.Runner.run(agent, "What is the weather in 'Bern'?")
        assert result.final_output == GREETING
        assert any("sunny in Bern" in str(item.raw_item) for item in result.new_items)
    wanted = agents.Agent(name="A helper", model=openais, output_type=City)
    assert (await agents.Runner.run(wanted, "'Bern' 134000")).final_output == BERN

"""LangChain's standard tests of a chat model, through its client for OpenAI's API."""

import os
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import BaseModel

MODEL = {"model": "support", "base_url": os.environ["BASE_URL"], "api_key": os.environ["API_KEY"]}


class City(BaseModel):
    """A city."""

    name: str


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"It is sunny in {city}."


class TestUnits(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return MODEL

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, str]]:
        told = {"OPENAI_API_KEY": MODEL["api_key"], "OPENAI_API_BASE": MODEL["base_url"]}
        expected = {"openai_api_key": MODEL["api_key"], "openai_api_base": MODEL["base_url"]}
        return told, {"model": "support"}, expected

    @pytest.mark.xfail(reason="It compares with a recording that each integration keeps of itself.")
    def test_serdes(self, *given: Any) -> None:
        super().test_serdes(*given)


class TestChats(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return MODEL | {"stream_usage": True, "max_retries": 0}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "support"


class TestResponses(TestChats):
    """The same client on OpenAI's newer address."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return super().chat_model_params | {"use_responses_api": True, "store": False}


def test_a_conversation_with_a_function() -> None:
    model = ChatOpenAI(**MODEL).bind_tools([weather])
    turns: list[Any] = [("human", "What is the weather in 'Bern'?")]
    asked = model.invoke(turns)
    assert isinstance(asked, AIMessage)
    assert [call["args"] for call in asked.tool_calls] == [{"city": "Bern"}]
    told = weather.invoke(asked.tool_calls[0])
    assert model.invoke([*turns, asked, told]).content == "Hello world!"


def test_structure_by_a_call_that_has_to_be_made() -> None:
    model = ChatOpenAI(**MODEL).with_structured_output(City, method="function_calling")
    assert model.invoke("Tell of 'Bern'.") == City(name="Bern")
    assert list(model.stream("Tell of 'Bern'."))[-1] == City(name="Bern")


def test_completions_of_text() -> None:
    assert OpenAI(**MODEL).invoke("Once") == "Hello world!"


async def test_what_is_refused_is_raised() -> None:
    with pytest.raises(Exception, match="another"):
        await ChatOpenAI(**MODEL | {"model": "another"}).ainvoke("Hi")

"""Stop sequences are never shown, however the tokens fall."""

from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.answering.stopping import StopFilter
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, over_both_kinds

letters = st.text("abc", max_size=4)


@given(
    st.lists(letters, max_size=12), st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3)
)
def test_what_is_shown_is_the_text_before_the_first_stop_sequence(
    pieces: list[str], stops: list[str]
) -> None:
    filtered = StopFilter(tuple(stops))
    shown, fed = "", ""
    for piece in pieces:
        if filtered.hit:
            break
        fed += piece
        shown += filtered.feed(piece)
    shown += filtered.rest()
    places = [place for stop in stops if (place := fed.find(stop)) >= 0]
    assert filtered.hit == bool(places)
    assert shown == (fed[: min(places)] if places else fed)


@over_both_kinds
async def test_a_stop_sequence_across_tokens_is_left_out_of_stream_and_whole_answer(house: House) -> None:
    house.tgi.script = Script(tokens=["One", " E", "ND"], finish="stop_sequence")
    whole = (await house.chat(stop=["END"])).json()
    assert whole["choices"][0]["message"]["content"] == "One "
    assert whole["choices"][0]["finish_reason"] == "stop"
    stream = await house.chat(stop=["END"], stream=True)
    assert '"content":" E"' not in stream.text
    assert "[DONE]" in stream.text


@over_both_kinds
async def test_a_stop_sequence_that_the_model_server_missed_ends_the_answer_all_the_same(
    house: House,
) -> None:
    house.tgi.script = Script(tokens=["One. ", "ENDING", " more", *["x"] * 500], delay=0.005)
    body = (await house.chat(stop="END")).json()
    assert body["choices"][0]["message"]["content"] == "One. "
    (record,) = await house.records(1)
    assert (record["status"], record["prompt_tokens"]) == ("completed", 7)
    assert 3 <= record["completion_tokens"] < 20


@over_both_kinds
async def test_text_held_back_for_a_stop_sequence_that_never_came_is_shown(house: House) -> None:
    house.tgi.script = Script(tokens=["One ", "EN"])
    body = (await house.chat(stop="END")).json()
    assert body["choices"][0]["message"]["content"] == "One EN"


@over_both_kinds
async def test_log_probabilities_come_with_their_tokens(house: House) -> None:
    body = (await house.chat(logprobs=True)).json()
    content = body["choices"][0]["logprobs"]["content"]
    assert [one["token"] for one in content] == ["Hello", " wor", "ld", "!"]
    assert content[0] == {
        "token": "Hello",
        "logprob": -0.5,
        "bytes": [72, 101, 108, 108, 111],
        "top_logprobs": [],
    }
    house.tgi.script = Script(logprobs=False)
    refused = await house.chat(logprobs=True)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "logprobs")

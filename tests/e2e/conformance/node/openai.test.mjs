// OpenAI's client for Node, as its users write it.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const { BASE_URL: baseURL, API_KEY: apiKey } = process.env;
const GREETING = "Hello world!";
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "Tells the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const ask = (content, more = {}) => ({ model: "support", messages: [{ role: "user", content }], ...more });

test("a whole answer", async () => {
  const { data, request_id } = await client.chat.completions.create(ask("Hi", { seed: 1 })).withResponse();
  assert.equal(data.choices[0].message.content, GREETING);
  assert.deepEqual([data.usage.prompt_tokens, data.usage.completion_tokens], [7, 5]);
  assert.match(request_id, /^req_/);
});

test("a stream says the same", async () => {
  const stream = await client.chat.completions.create(
    ask("say characters beyond ASCII", { stream: true, stream_options: { include_usage: true } }),
  );
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, "Zürich, 東京 🦊");
  assert.equal(usage.total_tokens, 12);
});

test("several answers with log probabilities", async () => {
  const answer = await client.chat.completions.create(ask("Hi", { n: 2, logprobs: true, top_logprobs: 1 }));
  for (const choice of answer.choices) {
    assert.equal(choice.logprobs.content.map((token) => token.token).join(""), GREETING);
  }
});

test("a schema is kept to", async () => {
  const City = z.object({ name: z.string(), inhabitants: z.int() });
  const answer = await client.chat.completions.parse(
    ask("Tell of 'Bern' with 134000 people.", { response_format: zodResponseFormat(City, "city") }),
  );
  assert.deepEqual(answer.choices[0].message.parsed, { name: "Bern", inhabitants: 134000 });
});

test("a function is called, and its output read", async () => {
  const called = [];
  const run = (city) => called.push(city) && "sunny";
  const tool = { ...weather, function: { ...weather.function, function: run, parse: JSON.parse } };
  const runner = client.chat.completions.runTools(ask("What is the weather in 'Bern'?", { tools: [tool] }));
  assert.equal(await runner.finalContent(), GREETING);
  assert.deepEqual(called, [{ city: "Bern" }]);
});

test("a schema of zod's is a function, and its call is parsed", async () => {
  const tool = zodFunction({ name: "weather", parameters: z.object({ city: z.string() }) });
  const answer = await client.chat.completions.parse(ask("'Bern'", { tools: [tool] }));
  assert.deepEqual(answer.choices[0].message.tool_calls[0].function.parsed_arguments, { city: "Bern" });
});

test("a function is called in a stream", async () => {
  const stream = client.chat.completions.stream(ask("'Rome'", { tools: [weather], tool_choice: "required" }));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, "tool_calls");
  assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city: "Rome" });
});

test("completions of text", async () => {
  const whole = await client.completions.create({ model: "support", prompt: ["Once", "Twice"], max_tokens: 9 });
  assert.deepEqual(whole.choices.map((choice) => choice.text), [GREETING, GREETING]);
  let text = "";
  for await (const chunk of await client.completions.create({ model: "support", prompt: "Once", stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, GREETING);
});

test("responses, whole and streamed", async () => {
  const whole = await client.responses.create({ model: "support", input: "Hi", instructions: "Be brief." });
  assert.equal(whole.output_text, GREETING);
  const stream = client.responses.stream({ model: "support", input: "Hi" });
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  assert.equal(kinds.at(-1), "response.completed");
  assert.equal((await stream.finalResponse()).output_text, GREETING);
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["support"]);
  assert.equal((await client.models.retrieve("support")).object, "model");
});

test("what is refused is thrown with its code", async () => {
  await assert.rejects(client.chat.completions.create(ask("Hi", { model: "another" })), (fault) => {
    return fault instanceof OpenAI.NotFoundError && fault.code === "model_not_found" && fault.param === "model";
  });
  await assert.rejects(client.chat.completions.create(ask("Hi", { temperature: 9 })), OpenAI.BadRequestError);
  const nobody = new OpenAI({ baseURL, apiKey: "lw_nobody", maxRetries: 0 });
  await assert.rejects(nobody.models.list(), OpenAI.AuthenticationError);
});

test("failures of the model are thrown", async () => {
  await assert.rejects(client.chat.completions.create(ask("say that you are broken")), OpenAI.InternalServerError);
  const full = client.chat.completions.create(ask("say that you are full", { stream: true }));
  await assert.rejects(full, OpenAI.RateLimitError);
});

test("a stream that breaks off throws in the middle", async () => {
  let heard = "";
  const stream = await client.chat.completions.create(ask("say half of it", { stream: true }));
  await assert.rejects(async () => {
    for await (const chunk of stream) heard += chunk.choices[0].delta.content ?? "";
  }, OpenAI.APIError);
  assert.equal(heard, "Hello wor");
});

test("a refusal is waited out as long as it says", async () => {
  const patient = new OpenAI({ baseURL, apiKey, maxRetries: 1 });
  const began = performance.now();
  const answer = await patient.chat.completions.create(ask("say hello to Node after 1 refusals"));
  assert.equal(answer.choices[0].message.content, GREETING);
  assert.ok(performance.now() - began >= 999);
});

test("a client that does not wait gets its own error", async () => {
  const slow = client.chat.completions.create(ask("say something slowly"), { timeout: 300 });
  await assert.rejects(slow, OpenAI.APIConnectionTimeoutError);
  const stopped = new AbortController();
  const stream = await client.chat.completions.create(ask("say many words", { stream: true }), {
    signal: stopped.signal,
  });
  for await (const _ of stream) stopped.abort();
});

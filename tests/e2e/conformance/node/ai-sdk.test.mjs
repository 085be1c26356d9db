// Vercel's AI SDK with its provider for servers that are compatible with OpenAI's.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, isStepCount, Output, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const { BASE_URL: baseURL, API_KEY: apiKey } = process.env;
const GREETING = "Hello world!";
const provider = createOpenAICompatible({
  name: "loomworks",
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = provider.chatModel("support");
const City = z.object({ name: z.string(), inhabitants: z.int() });
const BERN = { name: "Bern", inhabitants: 134000 };
const quiet = { maxRetries: 0 };

test("text, whole", async () => {
  const answer = await generateText({ model, prompt: "Hi", instructions: "Be brief.", ...quiet });
  assert.equal(answer.text, GREETING);
  assert.equal(answer.finishReason, "stop");
  assert.deepEqual([answer.usage.inputTokens, answer.usage.outputTokens], [7, 5]);
});

test("text, streamed", async () => {
  const answer = streamText({ model, prompt: "say characters beyond ASCII", ...quiet });
  let text = "";
  for await (const part of answer.textStream) text += part;
  assert.equal(text, "Zürich, 東京 🦊");
  assert.equal((await answer.usage).totalTokens, 12);
});

test("an object, whole and streamed", async () => {
  const asked = { model, schema: City, prompt: "'Bern' 134000", ...quiet };
  assert.deepEqual((await generateObject(asked)).object, BERN);
  const streamed = streamObject(asked);
  for await (const part of streamed.partialObjectStream) assert.ok(part);
  assert.deepEqual(await streamed.object, BERN);
  const output = Output.object({ schema: City });
  assert.deepEqual((await generateText({ model, output, prompt: "'Bern' 134000", ...quiet })).output, BERN);
});

test("functions are called and their outputs read, whole and streamed", async () => {
  const called = [];
  const weather = tool({
    description: "Tells the weather.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => called.push(city) && "sunny",
  });
  const asked = { model, tools: { weather }, stopWhen: isStepCount(3), ...quiet };
  const whole = await generateText({ ...asked, prompt: "What is the weather in 'Bern'?" });
  assert.equal(whole.text, GREETING);
  const streamed = streamText({ ...asked, prompt: "What is the weather in 'Rome'?" });
  for await (const _ of streamed.fullStream);
  assert.equal(await streamed.text, GREETING);
  assert.deepEqual(called, ["Bern", "Rome"]);
});

test("a function that has to be called", async () => {
  const answer = await generateText({
    model,
    prompt: "'Bern'",
    tools: { weather: tool({ inputSchema: z.object({ city: z.string() }) }) },
    toolChoice: { type: "tool", toolName: "weather" },
    ...quiet,
  });
  assert.deepEqual(answer.toolCalls[0].input, { city: "Bern" });
  assert.equal(answer.finishReason, "tool-calls");
});

test("completions of text", async () => {
  const answer = await generateText({ model: provider.completionModel("support"), prompt: "Once", ...quiet });
  assert.equal(answer.text, GREETING);
});

test("a refusal is told with the gateway's words, and retried where waiting helps", async () => {
  await assert.rejects(generateText({ model: provider("another"), prompt: "Hi", ...quiet }), (fault) => {
    return APICallError.isInstance(fault) && fault.statusCode === 404 && /another/.test(fault.message);
  });
  const answer = await generateText({ model, prompt: "say hello to the SDK after 1 refusals", maxRetries: 1 });
  assert.equal(answer.text, GREETING);
});

test("a stream that breaks off is told as an error", async () => {
  const parts = [];
  const streamed = streamText({ model, prompt: "say half of it", onError: () => {}, ...quiet });
  for await (const part of streamed.fullStream) parts.push(part.type);
  assert.ok(parts.includes("text-delta") && parts.includes("error"), parts.join());
});

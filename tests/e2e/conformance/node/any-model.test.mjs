// What has to hold with any model: both clients, whole and streamed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, streamText } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const { BASE_URL: baseURL, API_KEY: apiKey, MODEL: name } = process.env;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const model = createOpenAICompatible({ name: "loomworks", baseURL, apiKey, supportsStructuredOutputs: true })(name);
const asked = { model: name, messages: [{ role: "user", content: "Hi" }], temperature: 0, max_tokens: 12 };

test("OpenAI's client hears the same whole and streamed", async () => {
  const whole = (await client.chat.completions.create(asked)).choices[0].message.content;
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  assert.ok(whole);
  assert.equal(text, whole);
});

test("the AI SDK hears the same whole and streamed, and objects of its schema", async () => {
  const wanted = { model, prompt: "Hi", temperature: 0, maxOutputTokens: 12, maxRetries: 0 };
  const whole = (await generateText(wanted)).text;
  let text = "";
  for await (const part of streamText(wanted).textStream) text += part;
  assert.ok(whole);
  assert.equal(text, whole);
  const schema = z.object({ yes: z.boolean() });
  const { object } = await generateObject({ ...wanted, schema, maxOutputTokens: 60 });
  assert.equal(typeof object.yes, "boolean");
});

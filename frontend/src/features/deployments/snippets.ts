/** The same request in three languages, to be pasted as it is. */
export interface Snippet {
  id: string;
  name: string;
  code: string;
}

export function snippetsFor(model: string, origin: string, question: string): Snippet[] {
  const base = `${origin}/v1`;
  const quoted = JSON.stringify(question);
  const payload = JSON.stringify({ model, messages: [{ role: "user", content: question }] }).replaceAll("'", String.raw`'\''`);
  return [
    {
      id: "curl",
      name: "curl",
      code: `curl ${base}/chat/completions \\
  -H "Authorization: Bearer $LOOMWORKS_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${payload}'`,
    },
    {
      id: "python",
      name: "Python",
      code: `import os

from openai import OpenAI

client = OpenAI(base_url="${base}", api_key=os.environ["LOOMWORKS_API_KEY"])
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[{"role": "user", "content": ${quoted}}],
)
print(answer.choices[0].message.content)`,
    },
    {
      id: "javascript",
      name: "JavaScript",
      code: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}", apiKey: process.env.LOOMWORKS_API_KEY });
const answer = await client.chat.completions.create({
  model: ${JSON.stringify(model)},
  messages: [{ role: "user", content: ${quoted} }],
});
console.log(answer.choices[0].message.content);`,
    },
  ];
}

import { describe, expect, it } from "vitest";
import { snippetsFor } from "./snippets";

const [curl, python] = snippetsFor("ft:smollm2:demo", "http://127.0.0.1:8000", "What's 2 + 2?");

describe("code snippets", () => {
  it("survive an apostrophe inside the shell's quotes", () => {
    expect(curl?.code).toContain(String.raw`What'\''s 2 + 2?`);
  });

  it("name the model and this address", () => {
    expect(python?.code).toContain('base_url="http://127.0.0.1:8000/v1"');
    expect(python?.code).toContain('model="ft:smollm2:demo"');
  });
});

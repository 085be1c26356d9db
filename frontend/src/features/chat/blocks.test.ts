import { describe, expect, it } from "vitest";
import { splitBlocks } from "./blocks";

describe("markdown split into blocks", () => {
  it("parts paragraphs at blank lines", () => {
    expect(splitBlocks("One\ntwo\n\n\nThree\n")).toEqual(["One\ntwo", "Three"]);
  });

  it("keeps code with blank lines whole, whatever is inside", () => {
    const code = "```python\na = 1\n\n~~~\n\nb = 2\n```";
    expect(splitBlocks(`Before\n\n${code}\n\nAfter`)).toEqual(["Before", code, "After"]);
  });

  it("treats an unfinished fence as code to the end", () => {
    expect(splitBlocks("Text\n\n```js\nlet a\n\nlet b")).toEqual(["Text", "```js\nlet a\n\nlet b"]);
  });

  it("needs as many marks to close as opened", () => {
    const code = "````\n```\n\ninner\n````";
    expect(splitBlocks(`${code}\n\nAfter`)).toEqual([code, "After"]);
  });

  it("keeps a loose list together, so that its numbers go on", () => {
    const list = "1. one\n\n2. two\n\n   more of two";
    expect(splitBlocks(`${list}\n\nAfter`)).toEqual([list, "After"]);
  });

  it("does not part what references reach across", () => {
    const text = "See [it][1].\n\n[1]: https://example.org";
    expect(splitBlocks(text)).toEqual([text]);
  });

  it("changes only the last block while text grows", () => {
    const full = "# Title\n\nSome words here.\n\n- a\n- b\n\nThe end.";
    for (let end = 1; end < full.length; end += 1) {
      const now = splitBlocks(full.slice(0, end));
      const next = splitBlocks(full.slice(0, end + 1));
      expect(next.slice(0, now.length - 1)).toEqual(now.slice(0, -1));
    }
  });
});

import { describe, expect, it } from "vitest";
import { TokenStream } from "./token-stream";

describe("a token stream", () => {
  it("appends in order and drops what it already has", () => {
    const stream = new TokenStream();
    expect(stream.take(1, "Par")).toBe("appended");
    expect(stream.take(1, "Par")).toBe("duplicate");
    expect(stream.take(2, "is")).toBe("appended");
    expect(stream.text).toBe("Paris");
    expect(stream.last).toBe(2);
  });

  it("holds back tokens that came too early until the gap is filled", () => {
    const stream = new TokenStream();
    stream.take(1, "a");
    expect(stream.take(3, "c")).toBe("gap");
    expect(stream.text).toBe("a");
    expect(stream.last).toBe(1);
    expect(stream.take(2, "b")).toBe("appended");
    expect(stream.text).toBe("abc");
    expect(stream.take(3, "c")).toBe("duplicate");
  });

  it("is the same text for any order with repetitions", () => {
    const tokens = [..."the answer continues to the letter"];
    const arrivals = tokens.flatMap((text, index) => [{ seq: index + 1, text }, { seq: index + 1, text }]);
    for (let seed = 1; seed < 30; seed += 1) {
      const shuffled = [...arrivals].sort((one, other) => ((one.seq * seed * 7919) % 31) - ((other.seq * seed * 104729) % 37));
      const stream = new TokenStream();
      for (const { seq, text } of shuffled) stream.take(seq, text);
      expect(stream.text).toBe(tokens.join(""));
    }
  });

  it("takes the whole text in place of what it missed, and what had come early after it", () => {
    const stream = new TokenStream();
    stream.take(1, "a");
    stream.take(4, "d");
    stream.take(3, "c");
    expect(stream.takeAll(3, "abc")).toBe("appended");
    expect([stream.text, stream.last]).toEqual(["abcd", 4]);
    expect(stream.takeAll(2, "ab")).toBe("duplicate");
    expect(stream.take(5, "e")).toBe("appended");
    expect(stream.text).toBe("abcde");
  });
});

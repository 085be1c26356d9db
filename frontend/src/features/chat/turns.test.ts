import { describe, expect, it } from "vitest";
import type { Message } from "@/api/types";
import { turnsOf } from "./turns";

const message = (id: string, superseded = false) => ({ id, superseded }) as Message;

const shown = (messages: Message[]) => turnsOf(messages).map((turn) => [turn.message.id, ...turn.older.map((each) => each.id)]);

describe("the turns of a conversation", () => {
  it("shows an answer with those that it was generated in place of", () => {
    const messages = [message("q1"), message("a1", true), message("a2", true), message("a3"), message("q2"), message("a4")];
    expect(shown(messages)).toEqual([["q1"], ["a3", "a1", "a2"], ["q2"], ["a4"]]);
  });

  it("shows the last answer until the one in its place has begun", () => {
    expect(shown([message("q1"), message("a1", true), message("a2", true)])).toEqual([["q1"], ["a2", "a1"]]);
  });
});

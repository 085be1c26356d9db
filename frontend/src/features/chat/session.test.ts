import { describe, expect, it } from "vitest";
import type { Conversation, Message } from "@/api/types";
import type { SocketHandlers } from "@/live/resumable-socket";
import { ChatSession } from "./session";

const message = (part: Partial<Message> & { id: string }): Message => ({
  role: "assistant", content: "", state: "complete", superseded: false, model: "m", digest: "ab", finish_reason: null, usage: null, error: null,
  created_at: "2026-01-01T00:00:00Z", ...part,
});

function server(history: Message[] = []) {
  const sent: Record<string, unknown>[] = [];
  let handlers: SocketHandlers | null = null;
  let connected = false;
  let ids = 0;
  const stored = [...history];
  const session = new ChatSession({
    load: () => Promise.resolve({ id: "conv-1", title: "", model: "m", created_at: "", updated_at: "", messages: [...stored] } satisfies Conversation),
    connect: (given) => {
      handlers = given;
      return {
        start: () => {},
        stop: () => {},
        send: (frame) => {
          if (connected) sent.push(frame as Record<string, unknown>);
          return connected;
        },
      };
    },
    soon: (act) => { act(); },
    newId: () => `client-${String((ids += 1))}`,
  });
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  return {
    session, sent, stored, settle,
    says: (frame: object) => handlers?.onFrame(frame),
    connect: async () => {
      connected = true;
      handlers?.onState?.("open");
      handlers?.onOpen();
      await settle();
    },
    drop: () => {
      connected = false;
      handlers?.onState?.("waiting");
    },
    text: (id: string) => session.snapshot().messages.find((each) => each.id === id)?.content,
  };
}

describe("a chat session", () => {
  it("continues an answer to the letter after the connection broke in its middle", async () => {
    const there = server();
    await there.connect();
    there.says({ type: "message.started", message: message({ id: "msg-1", state: "streaming" }) });
    there.says({ type: "token", message_id: "msg-1", seq: 1, text: "Twelve " });
    there.drop();
    there.stored.push(message({ id: "msg-1", state: "streaming" }));
    await there.connect();
    expect(there.sent).toEqual([{ type: "resume", message_id: "msg-1", after: 1 }]);
    there.says({ type: "token", message_id: "msg-1", seq: 1, text: "Twelve " });
    there.says({ type: "token", message_id: "msg-1", seq: 2, text: "apples" });
    expect(there.text("msg-1")).toBe("Twelve apples");
  });

  it("asks once for what is missing when a token was skipped", async () => {
    const there = server();
    await there.connect();
    there.says({ type: "message.started", message: message({ id: "msg-1", state: "streaming" }) });
    for (const seq of [1, 3, 4, 5]) there.says({ type: "token", message_id: "msg-1", seq, text: String(seq) });
    expect(there.sent).toEqual([{ type: "resume", message_id: "msg-1", after: 1 }]);
    there.says({ type: "token", message_id: "msg-1", seq: 2, text: "2" });
    expect(there.text("msg-1")).toBe("12345");
  });

  it("picks up a running answer from its start when the page was reloaded", async () => {
    const there = server([message({ id: "msg-1", state: "streaming", content: "Twelve" })]);
    await there.connect();
    expect(there.text("msg-1")).toBe("Twelve");
    expect(there.sent).toEqual([{ type: "resume", message_id: "msg-1", after: 0 }]);
    there.says({ type: "token", message_id: "msg-1", seq: 1, text: "Twelve" });
    there.says({ type: "token", message_id: "msg-1", seq: 2, text: " apples" });
    expect(there.text("msg-1")).toBe("Twelve apples");
  });

  it("sends what was written while offline as soon as the connection is there", async () => {
    const there = server();
    there.session.send("Hello");
    expect(there.session.snapshot().unsent).toHaveLength(1);
    await there.connect();
    expect(there.sent).toEqual([{ type: "send", content: "Hello", client_id: "client-1" }]);
    there.says({ type: "message.created", message: message({ id: "msg-1", role: "user", content: "Hello" }), client_id: "client-1" });
    expect(there.session.snapshot().unsent).toHaveLength(0);
  });

  it("does not send twice what arrived although its confirmation was lost", async () => {
    const there = server([message({ id: "msg-0", role: "user", content: "Hello" })]);
    await there.connect();
    there.session.send("Hello");
    there.drop();
    there.stored.push(message({ id: "msg-1", role: "user", content: "Hello" }));
    await there.connect();
    expect(there.sent.filter((frame) => frame["type"] === "send")).toHaveLength(1);
    expect(there.session.snapshot().unsent).toHaveLength(0);
  });

  it("sends once what was written while the history was still being read", async () => {
    const there = server();
    const connected = there.connect();
    there.session.send("Hello");
    await connected;
    expect(there.sent.filter((frame) => frame["type"] === "send")).toHaveLength(1);
  });

  it("follows an answer that began in another tab", async () => {
    const there = server();
    await there.connect();
    there.stored.push(message({ id: "msg-1", state: "streaming" }));
    await there.session.refresh();
    await there.session.refresh();
    expect(there.sent).toEqual([{ type: "resume", message_id: "msg-1", after: 0 }]);
    there.says({ type: "token", message_id: "msg-1", seq: 1, text: "Here" });
    expect(there.text("msg-1")).toBe("Here");
  });

  it("still sends and resumes when a change elsewhere is told while it catches up", async () => {
    const there = server([message({ id: "msg-1", state: "streaming" })]);
    there.session.send("Hello");
    const connected = there.connect();
    void there.session.refresh();
    await connected;
    expect(there.sent.map((frame) => frame["type"])).toEqual(["resume", "send"]);
  });

  it("keeps a refused message with its reason until the person decides", async () => {
    const there = server();
    await there.connect();
    there.session.send("Hello");
    there.says({ type: "error", error: { message: "Too long.", type: "invalid_request_error", param: null, code: "context_length_exceeded" }, message_id: null });
    expect(there.session.snapshot().unsent[0]?.refusal?.code).toBe("context_length_exceeded");
    there.drop();
    await there.connect();
    expect(there.sent.filter((frame) => frame["type"] === "send")).toHaveLength(1);
  });

  it("ignores tokens that arrive after the answer has finished", async () => {
    const there = server();
    await there.connect();
    there.says({ type: "message.started", message: message({ id: "msg-1", state: "streaming" }) });
    there.says({ type: "message.finished", message: message({ id: "msg-1", content: "Done." }) });
    there.says({ type: "token", message_id: "msg-1", seq: 9, text: "late" });
    expect(there.text("msg-1")).toBe("Done.");
    expect(there.sent).toEqual([]);
  });

  it("takes the whole text at once when it was away for long, and goes on from there", async () => {
    const there = server([message({ id: "msg-1", state: "streaming" })]);
    await there.connect();
    there.says({ type: "token", message_id: "msg-1", seq: 1, text: "Twelve " });
    there.says({ type: "text", message_id: "msg-1", seq: 120, text: "Twelve apples and" });
    there.says({ type: "token", message_id: "msg-1", seq: 120, text: " and" });
    there.says({ type: "token", message_id: "msg-1", seq: 121, text: " a pear" });
    expect(there.text("msg-1")).toBe("Twelve apples and a pear");
    there.drop();
    await there.connect();
    expect(there.sent.at(-1)).toEqual({ type: "resume", message_id: "msg-1", after: 121 });
  });
});

describe("an answer generated anew", () => {
  it("is asked for once and shows the older one as superseded", async () => {
    const there = server([message({ id: "msg-1", content: "Twelve" })]);
    await there.connect();
    there.session.regenerate("msg-1");
    there.session.regenerate("msg-1");
    expect(there.sent).toEqual([{ type: "regenerate", message_id: "msg-1" }]);
    there.says({ type: "message.superseded", message: message({ id: "msg-1", content: "Twelve", superseded: true }) });
    there.says({ type: "message.started", message: message({ id: "msg-2", state: "streaming" }) });
    there.says({ type: "token", message_id: "msg-2", seq: 1, text: "A dozen" });
    expect(there.session.snapshot().messages.map((each) => [each.content, each.superseded])).toEqual([["Twelve", true], ["A dozen", false]]);
    there.session.regenerate("msg-2");
    expect(there.sent).toHaveLength(1);
  });

  it("can be asked for again after a refusal", async () => {
    const there = server([message({ id: "msg-1" })]);
    await there.connect();
    there.session.regenerate("msg-1");
    there.says({ type: "error", error: { message: "Wait.", type: "rate_limit_error", param: null, code: "x" }, message_id: null });
    there.session.regenerate("msg-1");
    expect(there.sent).toHaveLength(2);
  });
});

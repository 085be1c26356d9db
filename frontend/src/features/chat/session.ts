/**
 * One conversation, live. REST says what is so, the socket what happens; after every connection the two are brought
 * together: history is read again, running answers are resumed after the last token had, unconfirmed messages are resent.
 */
import { ApiFault, type FaultBody } from "@/api/faults";
import type { Conversation, Message } from "@/api/types";
import type { SocketHandlers, SocketState } from "@/live/resumable-socket";
import { TokenStream } from "@/live/token-stream";
import { type Frame, isFrame } from "./frames";

export interface Unsent {
  clientId: string;
  content: string;
  refusal: FaultBody | null;
}

export interface Snapshot {
  conversation: Conversation | null;
  messages: readonly Message[];
  unsent: readonly Unsent[];
  connection: SocketState;
  fault: unknown;
  streaming: boolean;
}

interface Outgoing extends Unsent {
  /** Messages known when this was written: an equal one that is new must be this one, arrived. */
  knownBefore: ReadonlySet<string>;
  /** The connection that carried it last; 0 for none. */
  sentOn: number;
}

interface Socket {
  start: () => void;
  stop: () => void;
  send: (frame: object) => boolean;
}

export interface Doors {
  load: () => Promise<Conversation>;
  connect: (handlers: SocketHandlers) => Socket;
  /** Run once before the next paint: tokens come faster than frames. */
  soon: (act: () => void) => void;
  newId: () => string;
}

export class ChatSession {
  private readonly socket: Socket;
  private readonly doors: Doors;
  private readonly listeners = new Set<() => void>();
  private readonly streams = new Map<string, TokenStream>();
  private readonly askedAfter = new Map<string, number>();
  private messages: Message[] = [];
  private outbox: Outgoing[] = [];
  private regenerating: string | null = null;
  private conversation: Conversation | null = null;
  private connection: SocketState = "closed";
  private fault: unknown = null;
  private loading = 0;
  private connections = 0;
  private catchingUp = 0;
  private scheduled = false;
  private current: Snapshot;

  constructor(doors: Doors) {
    this.doors = doors;
    this.current = this.freeze();
    this.socket = doors.connect({
      onOpen: () => {
        this.connections += 1;
        void this.catchUp();
      },
      onFrame: (frame) => { if (isFrame(frame)) this.receive(frame); },
      onState: (state) => {
        this.connection = state;
        this.publish();
      },
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  };

  readonly snapshot = (): Snapshot => this.current;

  start(): void {
    this.socket.start();
    void this.load();
  }

  /** Something changed elsewhere, in another tab perhaps: read again, and follow answers that began there. */
  async refresh(): Promise<void> {
    // Catching up reads the newest anyway, and a later read would make it give up.
    if (this.catchingUp > 0 || !(await this.load())) return;
    for (const message of this.messages) {
      if (message.state === "streaming" && !this.streams.has(message.id)) this.resume(message.id);
    }
  }

  /** Try again what failed to load. */
  reload(): void {
    if (this.connection === "open") void this.catchUp();
    else this.start();
  }

  close(): void {
    this.socket.stop();
  }

  send(content: string): void {
    const knownBefore = new Set(this.messages.map((message) => message.id));
    const outgoing: Outgoing = { clientId: this.doors.newId(), content, refusal: null, knownBefore, sentOn: 0 };
    this.outbox = [...this.outbox, outgoing];
    this.transmit(outgoing);
    this.publish();
  }

  /** Send again what was refused. */
  retry(clientId: string): void {
    const refused = this.outbox.find((each) => each.clientId === clientId);
    this.discard(clientId);
    if (refused) this.send(refused.content);
  }

  discard(clientId: string): void {
    this.outbox = this.outbox.filter((each) => each.clientId !== clientId);
    this.publish();
  }

  stopAnswer(): void {
    for (const message of this.messages) {
      if (message.state === "streaming") this.socket.send({ type: "stop", message_id: message.id });
    }
  }

  /** Have an answer generated anew, if it is the last one; a second wish for the same changes nothing. */
  regenerate(messageId: string): void {
    if (this.current.streaming || this.regenerating === messageId) return;
    if (this.socket.send({ type: "regenerate", message_id: messageId })) this.regenerating = messageId;
  }

  private transmit(outgoing: Outgoing): void {
    if (outgoing.refusal || outgoing.sentOn === this.connections) return;
    const sent = this.socket.send({ type: "send", content: outgoing.content, client_id: outgoing.clientId });
    if (sent) outgoing.sentOn = this.connections;
  }

  private async load(): Promise<boolean> {
    this.loading += 1;
    const turn = this.loading;
    try {
      const conversation = await this.doors.load();
      if (turn !== this.loading) return false;
      this.conversation = conversation;
      this.fault = null;
      this.adopt(conversation.messages ?? []);
      return true;
    } catch (error) {
      if (turn !== this.loading) return false;
      this.fault = error;
      if (error instanceof ApiFault && error.status === 404) this.socket.stop();
      return false;
    } finally {
      this.publish();
    }
  }

  /** History as the server has it, keeping what the socket brought in the meantime. */
  private adopt(history: Message[]): void {
    const live = this.messages.filter((message) => this.streams.has(message.id) && !history.some((each) => each.id === message.id));
    this.messages = [...history, ...live].map((message) => {
      const stream = this.streams.get(message.id);
      if (message.state !== "streaming") this.forget(message.id);
      return stream && message.state === "streaming" ? withText(message, stream.text) : message;
    });
    const arrived = (outgoing: Outgoing) =>
      history.some((message) => message.role === "user" && message.content === outgoing.content && !outgoing.knownBefore.has(message.id));
    this.outbox = this.outbox.filter((outgoing) => outgoing.refusal !== null || !arrived(outgoing));
  }

  private async catchUp(): Promise<void> {
    this.askedAfter.clear();
    this.regenerating = null;
    this.catchingUp += 1;
    const read = await this.load();
    this.catchingUp -= 1;
    if (!read) return;
    for (const message of this.messages) {
      if (message.state === "streaming") this.resume(message.id);
    }
    for (const outgoing of this.outbox) this.transmit(outgoing);
  }

  private resume(messageId: string): void {
    const after = this.streamOf(messageId).last;
    if (this.askedAfter.get(messageId) === after) return;
    this.askedAfter.set(messageId, after);
    this.socket.send({ type: "resume", message_id: messageId, after });
  }

  private receive(frame: Frame): void {
    switch (frame.type) {
      case "message.created":
        this.place(frame.message);
        if (frame.client_id) this.outbox = this.outbox.filter((each) => each.clientId !== frame.client_id);
        break;
      case "message.superseded":
        this.place(frame.message);
        break;
      case "message.started":
        this.streamOf(frame.message.id);
        this.place(frame.message);
        break;
      case "token":
      case "text":
        this.takeText(frame);
        return;
      case "message.finished":
        this.forget(frame.message.id);
        this.place(frame.message);
        // The server names a conversation by its beginning.
        if (!this.conversation?.title) void this.refresh();
        break;
      case "error":
        this.refuse(frame);
        break;
    }
    this.publish();
  }

  private takeText({ type, message_id: messageId, seq, text }: Extract<Frame, { type: "token" | "text" }>): void {
    const index = this.messages.findIndex((message) => message.id === messageId);
    const message = this.messages[index];
    // Late echoes of a finished answer change nothing.
    if (message && message.state !== "streaming") return;
    const stream = this.streamOf(messageId);
    const verdict = type === "text" ? stream.takeAll(seq, text) : stream.take(seq, text);
    if (verdict === "gap") this.resume(messageId);
    if (verdict !== "appended" || !message) return;
    this.messages = this.messages.with(index, withText(message, stream.text));
    if (this.scheduled) return;
    this.scheduled = true;
    this.doors.soon(() => {
      this.scheduled = false;
      this.publish();
    });
  }

  private refuse(frame: Extract<Frame, { type: "error" }>): void {
    const refused = this.outbox.find((each) => (frame.client_id ? each.clientId === frame.client_id : each.refusal === null));
    this.regenerating = null;
    if (frame.message_id !== null || !refused) {
      this.fault = new ApiFault(400, frame.error, null);
      return;
    }
    this.outbox = this.outbox.map((each) => (each === refused ? { ...each, refusal: frame.error } : each));
  }

  private place(message: Message): void {
    const index = this.messages.findIndex((each) => each.id === message.id);
    const text = this.streams.get(message.id)?.text ?? "";
    const placed = message.state === "streaming" ? withText(message, text) : message;
    this.messages = index < 0 ? [...this.messages, placed] : this.messages.with(index, placed);
  }

  private streamOf(messageId: string): TokenStream {
    const stream = this.streams.get(messageId) ?? new TokenStream();
    this.streams.set(messageId, stream);
    return stream;
  }

  private forget(messageId: string): void {
    this.streams.delete(messageId);
    this.askedAfter.delete(messageId);
  }

  private freeze(): Snapshot {
    return {
      conversation: this.conversation,
      messages: this.messages,
      unsent: this.outbox,
      connection: this.connection,
      fault: this.fault,
      streaming: this.messages.some((message) => message.state === "streaming"),
    };
  }

  private publish(): void {
    this.current = this.freeze();
    for (const listener of this.listeners) listener();
  }
}

/** The longer of what was stored and what was streamed: a resumed stream starts from its first token again. */
function withText(message: Message, streamed: string): Message {
  return streamed.length > message.content.length ? { ...message, content: streamed } : message;
}

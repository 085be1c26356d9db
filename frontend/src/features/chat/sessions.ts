/** The open conversations of this tab; one outlives its page a little, so that a change of page loses nothing. */
import { useEffect, useSyncExternalStore } from "react";
import { onChanged, resources } from "@/live/server-events";
import { ResumableSocket, socketUrl } from "@/live/resumable-socket";
import { fetchConversation } from "./api";
import { ChatSession, type Snapshot } from "./session";

const LINGER_MS = 20_000;

interface Entry {
  session: ChatSession;
  users: number;
  deafen: () => void;
  closing: ReturnType<typeof setTimeout> | null;
}

const open = new Map<string, Entry>();

function entryOf(conversationId: string): Entry {
  const known = open.get(conversationId);
  if (known) return known;
  const session = new ChatSession({
    load: () => fetchConversation(conversationId),
    connect: (handlers) => new ResumableSocket(socketUrl(`/ws/chat/${conversationId}`), handlers),
    soon: (act) => { requestAnimationFrame(act); },
    newId: () => crypto.randomUUID(),
  });
  const deafen = onChanged(resources.conversation, conversationId, () => void session.refresh());
  const entry: Entry = { session, users: 0, deafen, closing: null };
  open.set(conversationId, entry);
  linger(conversationId, entry);
  session.start();
  return entry;
}

function linger(conversationId: string, entry: Entry): void {
  entry.closing = setTimeout(() => {
    if (entry.users > 0) return;
    entry.deafen();
    entry.session.close();
    open.delete(conversationId);
  }, LINGER_MS);
}

export function sessionOf(conversationId: string): ChatSession {
  return entryOf(conversationId).session;
}

export function useChatSession(conversationId: string): { session: ChatSession; snapshot: Snapshot } {
  const session = sessionOf(conversationId);
  useEffect(() => {
    const entry = entryOf(conversationId);
    entry.users += 1;
    if (entry.closing) clearTimeout(entry.closing);
    return () => {
      entry.users -= 1;
      if (entry.users === 0) linger(conversationId, entry);
    };
  }, [conversationId]);
  return { session, snapshot: useSyncExternalStore(session.subscribe, session.snapshot) };
}

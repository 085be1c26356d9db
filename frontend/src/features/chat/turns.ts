/** A conversation as it is read: each answer that stands, with the older ones that it was generated in place of. */
import type { Message } from "@/api/types";

export interface Turn {
  message: Message;
  older: readonly Message[];
}

// The same each time, so that what did not change is not drawn again.
const NONE: readonly Message[] = [];

export function turnsOf(messages: readonly Message[]): Turn[] {
  const turns: Turn[] = [];
  let older: Message[] = [];
  for (const message of messages) {
    if (message.superseded) {
      older.push(message);
      continue;
    }
    turns.push({ message, older: older.length > 0 ? older : NONE });
    older = [];
  }
  // What comes in place of the last one is on its way.
  const last = older.pop();
  return last ? [...turns, { message: last, older: older.length > 0 ? older : NONE }] : turns;
}

/** What the chat socket says. */
import type { FaultBody } from "@/api/faults";
import type { Message } from "@/api/types";

export type Frame =
  | { type: "message.created"; message: Message; client_id?: string | null }
  | { type: "message.superseded"; message: Message }
  | { type: "message.started"; message: Message }
  | { type: "token"; message_id: string; seq: number; text: string }
  | { type: "text"; message_id: string; seq: number; text: string }
  | { type: "message.finished"; message: Message }
  | { type: "error"; error: FaultBody; message_id: string | null; client_id?: string | null };

const kinds = new Set(["message.created", "message.superseded", "message.started", "token", "text", "message.finished", "error"]);

export function isFrame(frame: unknown): frame is Frame {
  return typeof frame === "object" && frame !== null && kinds.has(String((frame as { type?: unknown }).type));
}

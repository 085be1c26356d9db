/** The platform's events: each one makes what is shown of its resource out of date. */
import type { QueryClient } from "@tanstack/react-query";
import { ResumableSocket, type SocketState, socketUrl } from "./resumable-socket";

/** Query keys start with the resource's name, so that one event reaches every view of it. */
export const resources = {
  file: "file",
  job: "fine_tuning.job",
  modelVersion: "model_version",
  deployment: "deployment",
  apiKey: "api_key",
  conversation: "conversation",
} as const;

interface EventFrame {
  type: "event";
  resource: string;
}

function isEvent(frame: unknown): frame is EventFrame {
  return typeof frame === "object" && frame !== null && (frame as { type?: unknown }).type === "event";
}

/** Follow the events until the returned function is called. */
export function followEvents(queries: QueryClient, onState: (state: SocketState) => void): () => void {
  let connectedBefore = false;
  const socket = new ResumableSocket(socketUrl("/ws/events"), {
    onState,
    onOpen: () => {
      // What happened while away was not heard: everything shown may be old.
      if (connectedBefore) void queries.invalidateQueries();
      connectedBefore = true;
    },
    onFrame: (frame) => {
      if (isEvent(frame)) void queries.invalidateQueries({ queryKey: [frame.resource] });
    },
  });
  socket.start();
  return () => { socket.stop(); };
}

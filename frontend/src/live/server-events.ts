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
  id: string;
}

const listeners = new Set<(event: EventFrame) => void>();

/** Hear of changes to one object of a resource; the returned function stops listening. */
export function onChanged(resource: string, id: string, act: () => void): () => void {
  const listener = (event: EventFrame) => {
    if (event.resource === resource && event.id === id) act();
  };
  listeners.add(listener);
  return () => { listeners.delete(listener); };
}

function isEvent(frame: unknown): frame is EventFrame {
  return typeof frame === "object" && frame !== null && (frame as { type?: unknown }).type === "event";
}

/** Follow the events until the returned function is called. */
export function followEvents(queries: QueryClient, onState: (state: SocketState) => void): () => void {
  let connectedBefore = false;
  let leaving = false;
  const socket = new ResumableSocket(socketUrl("/ws/events"), {
    onState: (state) => {
      onState(state);
      // Sent away for good: the session has ended, and asking for it leads to the sign-in page.
      if (state === "closed" && !leaving) void queries.invalidateQueries({ queryKey: ["session"] });
    },
    onOpen: () => {
      // What happened while away was not heard: everything shown may be old.
      if (connectedBefore) void queries.invalidateQueries();
      connectedBefore = true;
    },
    onFrame: (frame) => {
      if (!isEvent(frame)) return;
      void queries.invalidateQueries({ queryKey: [frame.resource] });
      for (const listener of listeners) listener(frame);
    },
  });
  socket.start();
  return () => {
    leaving = true;
    socket.stop();
  };
}

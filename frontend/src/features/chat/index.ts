/** Chat: conversations with models, one or two at a time. */
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

const ChatPage = lazyPage(["chat"], async () => (await import("./components/ChatPage")).ChatPage);

export const routes: RouteObject[] = [
  { path: "chat", Component: ChatPage },
  { path: "chat/:conversationId", Component: ChatPage },
];

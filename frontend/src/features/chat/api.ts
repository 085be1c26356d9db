/** Conversations: list, open, begin, rename, delete. Messages travel over the socket, in `session`. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body } from "@/api/client";
import { listQuery } from "@/api/lists";
import type { Conversation } from "@/api/types";
import { resources } from "@/live/server-events";

export const conversationsQuery = listQuery([resources.conversation, "list"], async (query, signal) =>
  body(await api.GET("/api/v1/conversations", { params: { query }, signal })));

export async function fetchConversation(conversationId: string): Promise<Conversation> {
  const params = { path: { conversation_id: conversationId } };
  return body(await api.GET("/api/v1/conversations/{conversation_id}", { params }));
}

export async function createConversation(model: string): Promise<Conversation> {
  return body(await api.POST("/api/v1/conversations", { body: { model } }));
}

export function useRenameConversation() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ id, title }: { id: string; title: string }) =>
      body(await api.PATCH("/api/v1/conversations/{conversation_id}", { params: { path: { conversation_id: id } }, body: { title } })),
    onSettled: () => queries.invalidateQueries({ queryKey: [resources.conversation] }),
  });
}

export function useDeleteConversation() {
  const queries = useQueryClient();
  return async (conversationId: string) => {
    await api.DELETE("/api/v1/conversations/{conversation_id}", { params: { path: { conversation_id: conversationId } } });
    await queries.invalidateQueries({ queryKey: [resources.conversation] });
  };
}

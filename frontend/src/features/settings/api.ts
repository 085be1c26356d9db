/** API keys: list, create, revoke. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body } from "@/api/client";
import { listQuery } from "@/api/lists";
import { resources } from "@/live/server-events";

export const keysQuery = listQuery([resources.apiKey, "list"], async (query, signal) =>
  body(await api.GET("/api/v1/api-keys", { params: { query }, signal })));

export function useCreateKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (name: string) => body(await api.POST("/api/v1/api-keys", { body: { name } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: [resources.apiKey] }),
    // The secret lives only as long as the person looks at it.
    gcTime: 0,
  });
}

export function useRevokeKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (keyId: string) => {
      await api.DELETE("/api/v1/api-keys/{key_id}", { params: { path: { key_id: keyId } } });
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: [resources.apiKey] }),
  });
}

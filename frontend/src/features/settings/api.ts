/** API keys: list, create, revoke. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { goToReauthenticate } from "@/api/browser";
import { api, body } from "@/api/client";
import { ApiFault } from "@/api/faults";
import { listQuery } from "@/api/lists";
import { resources } from "@/live/server-events";

export const keysQuery = listQuery([resources.apiKey, "list"], async (query, signal) =>
  body(await api.GET("/api/v1/api-keys", { params: { query }, signal })));

/** Whether the browser is on its way to the page on which the person confirms that it is them. */
export function needsConfirming(error: unknown): boolean {
  return error instanceof ApiFault && error.code === "reauthentication_required";
}

export function useCreateKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (name: string) => body(await api.POST("/api/v1/api-keys", { body: { name } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: [resources.apiKey] }),
    // A key outlives the session that makes it: the person confirms first that it is them, and comes back.
    onError: (error, name) => {
      if (needsConfirming(error)) goToReauthenticate(`/settings/keys?${new URLSearchParams({ name }).toString()}`);
    },
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

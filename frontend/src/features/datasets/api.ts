/** Files and what validation said of them. */
import { infiniteQueryOptions, queryOptions, useQueryClient } from "@tanstack/react-query";
import { api, body } from "@/api/client";
import { listQuery } from "@/api/lists";
import type { StoredFile, Validation } from "@/api/types";
import { resources } from "@/live/server-events";

const ROWS_PER_PAGE = 10;
const CHECK_EVERY_MS = 1000;

export const filesQuery = listQuery([resources.file, "list"], async (query, signal) =>
  body(await api.GET("/v1/files", { params: { query: { ...query, purpose: "fine-tune" } }, signal })));

function isSettled(validation: Validation | undefined): boolean {
  return validation?.state === "valid" || validation?.state === "invalid";
}

async function fetchValidation(fileId: string, signal?: AbortSignal): Promise<Validation> {
  const params = { path: { file_id: fileId } };
  return body(await api.GET("/api/v1/files/{file_id}/validation", { params, ...(signal ? { signal } : {}) }));
}

export const validationQuery = (fileId: string) =>
  queryOptions({
    queryKey: [resources.file, "validation", fileId],
    queryFn: ({ signal }) => fetchValidation(fileId, signal),
    // Events bring the change; asking now and then covers a lost connection.
    refetchInterval: (query) => (isSettled(query.state.data) ? false : 2 * CHECK_EVERY_MS),
  });

export async function waitUntilValidated(fileId: string, signal: AbortSignal): Promise<Validation> {
  for (;;) {
    const validation = await fetchValidation(fileId, signal);
    if (isSettled(validation)) return validation;
    await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS));
    signal.throwIfAborted();
  }
}

export const rowsQuery = (datasetVersionId: string) =>
  infiniteQueryOptions({
    queryKey: ["dataset_version", "rows", datasetVersionId],
    queryFn: async ({ pageParam, signal }) =>
      body(await api.GET("/api/v1/dataset-versions/{version_id}/rows", {
        params: { path: { version_id: datasetVersionId }, query: { offset: pageParam, limit: ROWS_PER_PAGE } },
        signal,
      })),
    initialPageParam: 0,
    getNextPageParam: (last, all) => {
      const seen = all.reduce((count, page) => count + page.rows.length, 0);
      return last.rows.length > 0 && seen < last.total ? seen : undefined;
    },
    // A dataset version never changes.
    staleTime: Infinity,
  });

export async function createSampleFile(): Promise<StoredFile> {
  return body(await api.POST("/api/v1/sample-files"));
}

export function useDeleteFile() {
  const queries = useQueryClient();
  return async (fileId: string) => {
    await api.DELETE("/v1/files/{file_id}", { params: { path: { file_id: fileId } } });
    await queries.invalidateQueries({ queryKey: [resources.file] });
  };
}

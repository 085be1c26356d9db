/** Model versions. */
import { api, body } from "@/api/client";
import { listQuery } from "@/api/lists";
import { resources } from "@/live/server-events";

export const modelVersionsQuery = listQuery([resources.modelVersion, "list"], async (query, signal) =>
  body(await api.GET("/api/v1/model-versions", { params: { query }, signal })));

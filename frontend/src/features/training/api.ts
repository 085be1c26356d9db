/** Fine-tuning jobs: their state, events, checkpoints and metrics. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body } from "@/api/client";
import { listQuery } from "@/api/lists";
import type { BaseModel, FineTuningJob, FineTuningJobCreate, MetricPoint } from "@/api/types";
import { resources } from "@/live/server-events";
import { mergePoints, type Sighting } from "./points";

/** Events carry the news; this covers what a lost connection would have missed. */
const WATCH_MS = 4000;
const EVENTS_SHOWN = 100;

export function isActive(job: FineTuningJob | undefined): boolean {
  return job !== undefined && ["validating_files", "queued", "running", "paused"].includes(job.status);
}

export const jobsQuery = listQuery([resources.job, "list"], async (query, signal) =>
  body(await api.GET("/v1/fine_tuning/jobs", { params: { query }, signal })));

export const jobQuery = (jobId: string) =>
  queryOptions({
    queryKey: [resources.job, "one", jobId],
    queryFn: async ({ signal }) =>
      body(await api.GET("/v1/fine_tuning/jobs/{job_id}", { params: { path: { job_id: jobId } }, signal })),
    refetchInterval: (query) => (isActive(query.state.data) ? WATCH_MS : false),
  });

export const jobEventsQuery = (jobId: string, active: boolean) =>
  queryOptions({
    queryKey: [resources.job, "events", jobId],
    queryFn: async ({ signal }) => {
      const params = { path: { job_id: jobId }, query: { limit: EVENTS_SHOWN } };
      return body(await api.GET("/v1/fine_tuning/jobs/{job_id}/events", { params, signal })).data;
    },
    refetchInterval: active ? WATCH_MS : false,
  });

export const checkpointsQuery = (jobId: string) =>
  queryOptions({
    queryKey: [resources.job, "checkpoints", jobId],
    queryFn: async ({ signal }) =>
      body(await api.GET("/v1/fine_tuning/jobs/{job_id}/checkpoints", { params: { path: { job_id: jobId } }, signal })).data,
  });

export interface Curve {
  points: MetricPoint[];
  totalSteps: number | null;
  /** When this browser first and last saw the curve grow: the pace, from which the time left follows. */
  firstSeen: Sighting | null;
  lastSeen: Sighting | null;
}

/** The curve grows: each refetch asks only for what came after the last point. */
export const jobMetricsQuery = (jobId: string, active: boolean) =>
  queryOptions({
    queryKey: [resources.job, "metrics", jobId],
    queryFn: async ({ signal, client, queryKey }): Promise<Curve> => {
      const before = client.getQueryData<Curve>(queryKey);
      const lastStep = before?.points.at(-1)?.step;
      const query = lastStep === undefined ? {} : { after_step: lastStep };
      const params = { path: { job_id: jobId }, query };
      const fresh = body(await api.GET("/api/v1/fine-tuning-jobs/{job_id}/metrics", { params, signal }));
      const newest = fresh.points.at(-1);
      const sighting = newest ? { step: newest.step, at: Date.now() } : null;
      return {
        points: mergePoints(before?.points ?? [], fresh.points),
        totalSteps: fresh.total_steps,
        firstSeen: before?.firstSeen ?? sighting,
        lastSeen: sighting ?? before?.lastSeen ?? null,
      };
    },
    refetchInterval: active ? WATCH_MS : false,
  });

export async function fetchBaseModels(): Promise<BaseModel[]> {
  return body(await api.GET("/api/v1/base-models")).data;
}

export const baseModelsQuery = queryOptions({ queryKey: ["base_model"], queryFn: fetchBaseModels, staleTime: 60_000 });

export async function createJob(request: FineTuningJobCreate): Promise<FineTuningJob> {
  return body(await api.POST("/v1/fine_tuning/jobs", { body: request }));
}

export function useCancelJob(jobId: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async () =>
      body(await api.POST("/v1/fine_tuning/jobs/{job_id}/cancel", { params: { path: { job_id: jobId } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: [resources.job] }),
  });
}

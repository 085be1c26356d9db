/** Deployments: list, stop, start. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body } from "@/api/client";
import { listQuery } from "@/api/lists";
import { resources } from "@/live/server-events";

export const deploymentsQuery = listQuery([resources.deployment, "list"], async (query, signal) =>
  body(await api.GET("/api/v1/deployments", { params: { query }, signal })));

export function useDeploymentSwitch(deploymentId: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (act: "stop" | "start") => {
      const params = { path: { deployment_id: deploymentId } };
      const path = act === "stop" ? "/api/v1/deployments/{deployment_id}/stop" : "/api/v1/deployments/{deployment_id}/start";
      return body(await api.POST(path, { params }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: [resources.deployment] }),
  });
}

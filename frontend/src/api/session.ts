/** Who is signed in, and where: organization, project, permissions. */
import { queryOptions, useMutation, useSuspenseQuery } from "@tanstack/react-query";
import { selectProject } from "./browser";
import { api, body } from "./client";
import { faultFrom } from "./faults";
import type { Session } from "./types";

function isOfAPerson(session: { user: unknown }): session is Session {
  return session.user !== null;
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }) => {
    const session = body(await api.GET("/api/v1/session", { signal }));
    if (!isOfAPerson(session)) throw faultFrom(401, null, null);
    selectProject(session.project?.id ?? null);
    return session;
  },
  staleTime: 5 * 60_000,
});

/** The session inside the shell, where it is always there. */
export function useSession(): Session {
  return useSuspenseQuery(sessionQuery).data;
}

/** The project worked in. The shell shows pages only where there is one. */
export function useProject(): NonNullable<Session["project"]> {
  const { project } = useSession();
  if (!project) throw new Error("No project is open to this person.");
  return project;
}

export function useSwitchSession() {
  return useMutation({
    mutationFn: async (change: { project_id?: string; organization_id?: string }) =>
      body(await api.PUT("/api/v1/session", { body: change })),
    // Everything on the page belonged to the other project: begin afresh rather than show a mixture.
    onSuccess: () => { location.assign("/"); },
  });
}

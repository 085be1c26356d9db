/** What a request needs from the browser: the CSRF token, the project of this tab, the way to sign in. */

const CSRF_COOKIE = "lw_csrf";
let currentProject: string | null = null;

export function csrfToken(): string {
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith(`${CSRF_COOKIE}=`));
  if (cookie) return decodeURIComponent(cookie.slice(CSRF_COOKIE.length + 1));
  return document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
}

/** Requests name the project this tab shows, so that a switch in another tab cannot redirect them. */
export function selectProject(projectId: string | null): void {
  currentProject = projectId;
}

export function requestHeaders(): Record<string, string> {
  const headers: Record<string, string> = { "X-CSRFToken": csrfToken() };
  if (currentProject) headers["OpenAI-Project"] = currentProject;
  return headers;
}

export function goToSignIn(): void {
  const next = encodeURIComponent(location.pathname + location.search);
  location.assign(`/accounts/sign-in?next=${next}`);
}

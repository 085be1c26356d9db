/** What a request needs from the browser: the CSRF token, the project of this tab, the way to sign in. */

/** The second over https, where browsers take a cookie of such a name only from this very host. */
const CSRF_COOKIES = ["lw_csrf=", "__Host-lw_csrf="];
let currentProject: string | null = null;

export function csrfToken(): string {
  const cookie = document.cookie.split("; ").find((pair) => CSRF_COOKIES.some((name) => pair.startsWith(name)));
  if (cookie) return decodeURIComponent(cookie.slice(cookie.indexOf("=") + 1));
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

/** The organization requires a second factor that the person has not set up yet: nothing else answers. */
export function goToFactors(): void {
  location.assign("/accounts/factors");
}

/** Some acts need a fresh proof that it is the person; `address` is the page of ours to come back to. */
export function goToReauthenticate(address: string): void {
  location.assign(`/accounts/reauthenticate?next=${encodeURIComponent(address)}`);
}

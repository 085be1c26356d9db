/** The typed REST client: session cookie, CSRF token, one error type, and sign-in when the session has ended. */
import createClient, { type Middleware } from "openapi-fetch";
import { goToFactors, goToSignIn, requestHeaders } from "./browser";
import { faultFrom } from "./faults";
import type { paths } from "./schema.gen";

const doorman: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(requestHeaders())) request.headers.set(name, value);
    return request;
  },
  async onResponse({ response }) {
    if (response.ok) return response;
    if (response.status === 401) goToSignIn();
    const body: unknown = await response.json().catch(() => null);
    const fault = faultFrom(response.status, body, response.headers.get("x-request-id"));
    if (fault.code === "second_factor_required") goToFactors();
    throw fault;
  },
  onError() {
    return faultFrom(0, null, null);
  },
};

export const api = createClient<paths>({ credentials: "same-origin" });
api.use(doorman);

/** Unwrap an answer; refusals were already thrown by the middleware. */
export function body<T>(answer: { data?: T }): T {
  return answer.data as T;
}

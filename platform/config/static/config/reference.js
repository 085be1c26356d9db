/* The API reference: Swagger UI over the description of both planes, in the console's colours. */
"use strict";

const place = document.getElementById("reference");

/* The console keeps the choice of its theme on this device; without one the system's holds. */
const dark = matchMedia("(prefers-color-scheme: dark)");
function showTheme() {
  const chosen = localStorage.getItem("lw-theme");
  const isDark = chosen === "dark" || (chosen !== "light" && dark.matches);
  document.documentElement.classList.toggle("dark-mode", isDark);
}
dark.addEventListener("change", showTheme);
showTheme();

/* With a pasted key nothing of the session goes along; without one the session needs its token. */
function signed(request) {
  if (request.headers.Authorization) request.credentials = "omit";
  else request.headers["X-CSRFToken"] = place.dataset.csrfToken;
  return request;
}

/* Swagger UI leaves some of its parts without names, and some that scroll out of the keyboard's reach. */
const NAMED = [
  ["select[aria-label='']", "Choice"],
  [".parameters select:not([aria-label]), .body-param select:not([aria-label])", "Choice"],
  [".content-type-wrapper select:not([aria-label]), .response-control-media-type select:not([aria-label])", "Media type"],
  [".operation-filter-input:not([aria-label])", "Filter by tag"],
  [".parameters input:not([aria-label]), .body-param input:not([aria-label])", "Value"],
  ["textarea:not([aria-label])", "Request body"],
  [".auth-container input:not([aria-label])", "API key"],
];
function mend() {
  for (const [selector, name] of NAMED) {
    for (const part of place.querySelectorAll(selector)) part.setAttribute("aria-label", name);
  }
  for (const part of place.querySelectorAll("pre:not([tabindex]), .highlight-code:not([tabindex])")) {
    part.setAttribute("tabindex", "0");
  }
}
new MutationObserver(mend).observe(place, { childList: true, subtree: true });

SwaggerUIBundle({
  url: "/reference/openapi.json",
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  filter: true,
  persistAuthorization: false,
  requestInterceptor: signed,
  syntaxHighlight: { activated: false },
  validatorUrl: null,
});

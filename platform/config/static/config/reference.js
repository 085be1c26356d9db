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
const NAMES = {
  ".close-modal": "Close",
  "select": "Choice",
  "input": "Value",
  "textarea": "Body",
};
const SCROLLING = ".highlight-code > pre, pre.example, pre.microlight, .curl";
function mend() {
  for (const part of place.querySelectorAll(".auth-btn-wrapper [aria-label]")) part.removeAttribute("aria-label");
  for (const [selector, name] of Object.entries(NAMES)) {
    for (const part of place.querySelectorAll(selector)) {
      if (!part.labels?.length && !part.getAttribute("aria-label")) part.setAttribute("aria-label", name);
    }
  }
  for (const part of place.querySelectorAll(SCROLLING)) part.tabIndex = 0;
}
new MutationObserver(mend).observe(place, { childList: true, subtree: true });

SwaggerUIBundle({
  url: "/reference/openapi.json",
  domNode: place,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  filter: true,
  persistAuthorization: false,
  requestInterceptor: signed,
  showMutatedRequest: false,
  syntaxHighlight: { activated: false },
  validatorUrl: null,
});

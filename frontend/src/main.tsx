/** The console's entry: words first, then the page. */
import "@fontsource-variable/inter/wght.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "@/design/tokens.css";
import "@/design/base.css";
import "@/design/controls.css";
import "@/design/surfaces.css";
import "@/shell/shell.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { ApiFault } from "@/api/faults";
import { sessionQuery } from "@/api/session";
import { startWords } from "@/i18n";
import { mendBrowserLanguage } from "@/i18n/browser-language";
import { FaultBoundary, Waiting } from "@/shell/Faults";
import { Shell } from "@/shell/Shell";
import { showTheme, storedTheme } from "@/shell/theme";

const MOST_RETRIES = 2;

/** A refusal stays a refusal; only an unreachable or failing server is worth another try. */
function worthRetrying(failures: number, error: unknown): boolean {
  const refused = error instanceof ApiFault && error.status >= 400 && error.status < 500;
  return !refused && failures < MOST_RETRIES;
}

async function start(root: HTMLElement): Promise<void> {
  mendBrowserLanguage();
  showTheme(storedTheme());
  const queries = new QueryClient({ defaultOptions: { queries: { retry: worthRetrying, staleTime: 10_000 } } });
  void queries.prefetchQuery(sessionQuery);
  await startWords();
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <BrowserRouter>
          <FaultBoundary><Suspense fallback={<Waiting />}><Shell /></Suspense></FaultBoundary>
        </BrowserRouter>
      </QueryClientProvider>
    </StrictMode>,
  );
}

const root = document.getElementById("root");
if (root) void start(root);

/** Models: what training made, and from what. */
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

export const routes: RouteObject[] = [
  { path: "models", Component: lazyPage(["models"], async () => (await import("./components/ModelsPage")).ModelsPage) },
];

/** Settings: API keys. */
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

export const routes: RouteObject[] = [
  { path: "settings/keys", Component: lazyPage(["settings"], async () => (await import("./components/KeysPage")).KeysPage) },
];

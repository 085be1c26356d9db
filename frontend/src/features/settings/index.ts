/** Settings: API keys. */
import { redirect, type RouteObject } from "react-router";
import { withWords } from "@/i18n";

export const routes: RouteObject[] = [
  { path: "settings", loader: () => redirect("/settings/keys") },
  {
    path: "settings/keys",
    lazy: async () => ({ Component: (await withWords(["settings"], import("./components/KeysPage"))).KeysPage }),
  },
];

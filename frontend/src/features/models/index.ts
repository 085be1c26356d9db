/** Models: what training made, and from what. */
import type { RouteObject } from "react-router";
import { withWords } from "@/i18n";

export const routes: RouteObject[] = [
  {
    path: "models",
    lazy: async () => ({ Component: (await withWords(["models"], import("./components/ModelsPage"))).ModelsPage }),
  },
];

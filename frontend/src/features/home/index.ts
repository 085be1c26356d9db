/** Home: the first two clicks, what happened lately, what to do next. */
import type { RouteObject } from "react-router";
import { withWords } from "@/i18n";

export const routes: RouteObject[] = [
  {
    index: true,
    lazy: async () => ({ Component: (await withWords(["home", "training"], import("./components/HomePage"))).HomePage }),
  },
];

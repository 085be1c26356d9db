/** Home: the first two clicks, what happened lately, what to do next. */
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

export const routes: RouteObject[] = [
  { index: true, Component: lazyPage(["home", "training"], async () => (await import("./components/HomePage")).HomePage) },
];

/** Deployments: where models answer, and how to call them. */
import { lazy } from "react";
import type { RouteObject } from "react-router";
import { withWords } from "@/i18n";

export { deploymentsQuery } from "./api";

export const UseFromCode = lazy(() => import("./components/UseFromCode"));

export const routes: RouteObject[] = [
  {
    path: "deployments",
    lazy: async () => ({ Component: (await withWords(["models"], import("./components/DeploymentsPage"))).DeploymentsPage }),
  },
];

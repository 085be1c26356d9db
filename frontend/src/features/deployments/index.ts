/** Deployments: where models answer, and how to call them. */
import { lazy } from "react";
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

export { deploymentsQuery } from "./api";

export const UseFromCode = lazy(() => import("./components/UseFromCode"));

export const routes: RouteObject[] = [
  { path: "deployments", Component: lazyPage(["models"], async () => (await import("./components/DeploymentsPage")).DeploymentsPage) },
];

/** Training: fine-tuning jobs, from the form to the curve. */
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

export { baseModelsQuery, createJob, fetchBaseModels, jobsQuery } from "./api";

export const routes: RouteObject[] = [
  { path: "training", Component: lazyPage(["training"], async () => (await import("./components/JobsPage")).JobsPage) },
  { path: "training/new", Component: lazyPage(["training"], async () => (await import("./components/NewJobPage")).NewJobPage) },
  { path: "training/:jobId", Component: lazyPage(["training"], async () => (await import("./components/JobPage")).JobPage) },
];

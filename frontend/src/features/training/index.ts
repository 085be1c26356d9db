/** Training: fine-tuning jobs, from the form to the curve. */
import type { RouteObject } from "react-router";
import { withWords } from "@/i18n";

export { baseModelsQuery, createJob, fetchBaseModels, jobsQuery } from "./api";

export const routes: RouteObject[] = [
  {
    path: "training",
    lazy: async () => ({ Component: (await withWords(["training"], import("./components/JobsPage"))).JobsPage }),
  },
  {
    path: "training/new",
    lazy: async () => ({ Component: (await withWords(["training"], import("./components/NewJobPage"))).NewJobPage }),
  },
  {
    path: "training/:jobId",
    lazy: async () => ({ Component: (await withWords(["training"], import("./components/JobPage"))).JobPage }),
  },
];

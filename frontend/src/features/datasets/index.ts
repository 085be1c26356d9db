/** Data: files, their validation, the dataset versions made of them. */
import type { RouteObject } from "react-router";
import { lazyPage } from "@/i18n/lazy-page";

export { filesQuery, createSampleFile, validationQuery, waitUntilValidated } from "./api";

export const routes: RouteObject[] = [
  { path: "data", Component: lazyPage(["data"], async () => (await import("./components/DataPage")).DataPage) },
];

/** Data: files, their validation, the dataset versions made of them. */
import type { RouteObject } from "react-router";
import { withWords } from "@/i18n";

export { filesQuery, createSampleFile, validationQuery, waitUntilValidated } from "./api";

export const routes: RouteObject[] = [
  {
    path: "data",
    lazy: async () => ({ Component: (await withWords(["data"], import("./components/DataPage"))).DataPage }),
  },
];

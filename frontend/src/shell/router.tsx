/** All routes: each feature brings its own, loaded when first visited. */
import type { QueryClient } from "@tanstack/react-query";
import { createBrowserRouter } from "react-router";
import { sessionQuery } from "@/api/session";
import { routes as datasets } from "@/features/datasets";
import { routes as deployments } from "@/features/deployments";
import { routes as home } from "@/features/home";
import { routes as models } from "@/features/models";
import { routes as settings } from "@/features/settings";
import { routes as training } from "@/features/training";
import { NotFound, PageFault, Waiting } from "./Faults";
import { Shell } from "./Shell";

export function createRouter(queries: QueryClient) {
  return createBrowserRouter([
    {
      element: <Shell />,
      errorElement: <PageFault />,
      hydrateFallbackElement: <Waiting />,
      loader: async () => {
        await queries.ensureQueryData(sessionQuery);
        return null;
      },
      shouldRevalidate: () => false,
      children: [
        {
          errorElement: <PageFault />,
          children: [
            ...home, ...datasets, ...training, ...models, ...deployments, ...settings,
            { path: "*", element: <NotFound /> },
          ],
        },
      ],
    },
  ]);
}

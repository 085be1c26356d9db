/** All routes: each feature brings its own, loaded when first visited. */
import type { RouteObject } from "react-router";
import { routes as chat } from "@/features/chat";
import { routes as datasets } from "@/features/datasets";
import { routes as deployments } from "@/features/deployments";
import { routes as home } from "@/features/home";
import { routes as models } from "@/features/models";
import { routes as settings } from "@/features/settings";
import { routes as training } from "@/features/training";
import { NotFound } from "./Faults";

export const routes: RouteObject[] = [
  ...home, ...chat, ...datasets, ...training, ...models, ...deployments, ...settings,
  { path: "*", Component: NotFound },
];

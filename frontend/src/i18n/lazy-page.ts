/** A page that comes with its words, when it is first visited. */
import { type ComponentType, lazy } from "react";
import { withWords } from "./index";

export function lazyPage(words: string[], load: () => Promise<ComponentType>) {
  return lazy(async () => ({ default: await withWords(words, load()) }));
}

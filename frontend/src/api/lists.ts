/** Lists of the API, newest first, a page at a time. */
import { infiniteQueryOptions } from "@tanstack/react-query";

interface Page<T> {
  data: T[];
  has_more?: boolean;
}

type FetchPage<T> = (query: { after?: string; limit: number }, signal: AbortSignal) => Promise<Page<T>>;

const PAGE_SIZE = 50;

export function listQuery<T extends { id: string }>(queryKey: string[], fetchPage: FetchPage<T>) {
  return infiniteQueryOptions({
    queryKey,
    queryFn: ({ pageParam, signal }) => fetchPage(pageParam ? { after: pageParam, limit: PAGE_SIZE } : { limit: PAGE_SIZE }, signal),
    initialPageParam: "",
    getNextPageParam: (last) => (last.has_more ? last.data.at(-1)?.id : undefined),
    select: (pages) => pages.pages.flatMap((page) => page.data),
  });
}

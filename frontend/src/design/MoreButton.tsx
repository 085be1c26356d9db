/** The rest of a list, on request. */
import { useTranslation } from "react-i18next";
import { Button } from "./Button";

interface PagedQuery {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

export function MoreButton({ query }: { query: PagedQuery }) {
  const { t } = useTranslation();
  if (!query.hasNextPage) return null;
  return <div><Button pending={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>{t("action.more")}</Button></div>;
}

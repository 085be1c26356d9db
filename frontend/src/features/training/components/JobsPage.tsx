/** Training: all fine-tuning jobs of the project. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ButtonLink } from "@/design/Button";
import { MoreButton } from "@/design/MoreButton";
import { EmptyState, Loaded } from "@/design/Notices";
import { Page } from "@/design/Page";
import { jobsQuery } from "../api";
import { JobTable } from "./JobTable";

export function JobsPage() {
  const { t } = useTranslation(["training", "common"]);
  const navigate = useNavigate();
  const jobs = useInfiniteQuery(jobsQuery);
  const newJob = <ButtonLink to="/training/new" variant="primary" icon="plus">{t("training:new")}</ButtonLink>;
  return (
    <Page title={t("common:nav.training")} lead={t("training:lead")} actions={newJob}>
      <Loaded query={jobs} rows={5}>
        {(all) => (all.length === 0
          ? <EmptyState icon="curve" title={t("training:emptyTitle")} action={newJob}><p>{t("training:empty")}</p></EmptyState>
          : <JobTable jobs={all} onOpen={(job) => void navigate(`/training/${job.id}`)} />)}
      </Loaded>
      <MoreButton query={jobs} />
    </Page>
  );
}

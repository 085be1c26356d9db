/** Home: one press to a model of one's own; below, what is going on. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { useProject, useSession } from "@/api/session";
import { StateBadge } from "@/design/Badge";
import { Button } from "@/design/Button";
import { Icon, type IconName } from "@/design/Icon";
import { ErrorNotice, Loaded } from "@/design/Notices";
import { Page } from "@/design/Page";
import { RowLink, Table } from "@/design/Table";
import { jobsQuery } from "@/features/training";
import { formatAgo } from "@/i18n/formats";
import { stages, useSampleTraining } from "../sample-training";
import "./home.css";

const RECENT = 5;

export function HomePage() {
  const { t } = useTranslation("home");
  const { user } = useSession();
  const project = useProject();
  return (
    <Page title={user.name ? t("hello", { name: user.name.split(" ")[0] }) : t("title")} lead={t("lead", { project: project.name })}>
      <FirstModel />
      <RecentJobs />
      <NextSteps />
    </Page>
  );
}

function FirstModel() {
  const { t } = useTranslation("home");
  const navigate = useNavigate();
  const words = { invalid: t("sampleInvalid"), noBase: t("noBase") };
  const training = useSampleTraining(words, (job) => void navigate(`/training/${job.id}`));
  return (
    <section className="first-model">
      <div className="stack">
        <h2>{t("firstTitle")}</h2>
        <p className="quiet">{t("first")}</p>
        <div className="row">
          <Button variant="primary" large icon="curve" pending={training.isPending} onClick={training.start}>{t("trainSample")}</Button>
        </div>
        {training.error && <ErrorNotice error={training.error} title={t("sampleFailed")} onRetry={training.start} />}
      </div>
      <Stages current={training.isPending ? training.stage : null} />
    </section>
  );
}

function Stages({ current }: { current: (typeof stages)[number] | null }) {
  const { t } = useTranslation("home");
  const reached = current ? stages.indexOf(current) : -1;
  return (
    <ol className="stages" aria-live="polite">
      {stages.map((stage, index) => {
        const state = index < reached ? "done" : index === reached ? "now" : "ahead";
        return (
          <li key={stage} className={`stage stage-${state}`} aria-current={state === "now" ? "step" : undefined}>
            <Icon name={state === "done" ? "check" : state === "now" ? "refresh" : "clock"} />
            {t(`stage.${stage}`)}
          </li>
        );
      })}
    </ol>
  );
}

function RecentJobs() {
  const { t } = useTranslation(["home", "training"]);
  const navigate = useNavigate();
  const jobs = useInfiniteQuery(jobsQuery);
  return (
    <section className="stack" aria-label={t("home:recent")}>
      <div className="row row-between"><h2>{t("home:recent")}</h2><Link to="/training">{t("training:all")}</Link></div>
      <Loaded query={jobs} rows={3}>
        {(all) => (all.length === 0 ? <p className="quiet">{t("home:noJobs")}</p> : (
          <Table label={t("home:recent")} rows={all.slice(0, RECENT)} rowKey={(job) => job.id}
            onOpen={(job) => void navigate(`/training/${job.id}`)}
            columns={[
              { header: t("training:job"), cell: (job) => <RowLink to={`/training/${job.id}`}>{job.fine_tuned_model ?? job.id}</RowLink> },
              { header: t("training:state"), cell: (job) => <StateBadge state={job.status} /> },
              { header: t("training:created"), cell: (job) => formatAgo(job.created_at), wide: true },
            ]} />
        ))}
      </Loaded>
    </section>
  );
}

const steps: { id: "data" | "chat" | "code"; to: string; icon: IconName }[] = [
  { id: "data", to: "/data", icon: "upload" },
  { id: "chat", to: "/chat", icon: "chat" },
  { id: "code", to: "/settings/keys", icon: "key" },
];

function NextSteps() {
  const { t } = useTranslation("home");
  return (
    <section className="stack" aria-label={t("next")}>
      <h2>{t("next")}</h2>
      <div className="steps">
        {steps.map((step) => (
          <Link key={step.id} to={step.to} className="step">
            <Icon name={step.icon} />
            <span><strong>{t(`step.${step.id}.title`)}</strong><span className="quiet">{t(`step.${step.id}.text`)}</span></span>
          </Link>
        ))}
      </div>
    </section>
  );
}

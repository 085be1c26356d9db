/** Organization and project, as native selects: nothing is as accessible and as small. */
import { useTranslation } from "react-i18next";
import { useSession, useSwitchSession } from "@/api/session";

interface Option {
  id: string;
  name: string;
}

function Choice({ label, value, options, onChange }: { label: string; value: Option; options: Option[]; onChange: (id: string) => void }) {
  if (options.length < 2) return <span className="switcher-one truncate" title={label}>{value.name}</span>;
  return (
    <select className="switcher" aria-label={label} value={value.id} onChange={(event) => { onChange(event.target.value); }}>
      {options.map((option) => <option key={option.id} value={option.id}>{option.name}</option>)}
    </select>
  );
}

export function Switcher() {
  const { t } = useTranslation();
  const session = useSession();
  const change = useSwitchSession();
  return (
    <div className="switchers">
      <Choice label={t("shell.organization")} value={session.organization} options={session.organizations}
        onChange={(id) => { change.mutate({ organization_id: id }); }} />
      <span className="quiet" aria-hidden="true">/</span>
      {session.project
        ? <Choice label={t("shell.project")} value={session.project} options={session.projects}
            onChange={(id) => { change.mutate({ project_id: id }); }} />
        : <span className="switcher-one quiet">{t("shell.noProject")}</span>}
    </div>
  );
}

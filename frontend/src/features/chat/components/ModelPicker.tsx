/** Which model to talk to. */
import { useTranslation } from "react-i18next";
import type { Deployment } from "@/api/types";
import { Select } from "@/design/Select";
import { shortDigest } from "@/design/thread";

interface ModelPickerProps {
  label: string;
  deployments: Deployment[];
  value: string;
  onChange: (alias: string) => void;
}

export function ModelPicker({ label, deployments, value, onChange }: ModelPickerProps) {
  const { t } = useTranslation();
  const choices = deployments.map((deployment) => ({
    id: deployment.alias,
    name: deployment.alias,
    note: `${shortDigest(deployment.digest)} · ${deployment.base_model} · ${t(`state.${deployment.state}`)}`,
  }));
  return <Select label={label} choices={choices} value={value} onChange={onChange} />;
}

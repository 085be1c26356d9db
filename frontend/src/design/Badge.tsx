/** A state as a word with an icon and a colour; the colour never speaks alone. */
import { useTranslation } from "react-i18next";
import { Icon, type IconName } from "./Icon";

type Tone = "plain" | "good" | "warn" | "bad" | "busy";

const looks = {
  uploaded: ["plain", "clock"],
  processed: ["good", "check"],
  error: ["bad", "alert"],
  pending: ["plain", "clock"],
  validating_files: ["busy", "refresh"],
  queued: ["plain", "clock"],
  running: ["busy", "refresh"],
  paused: ["warn", "stop"],
  succeeded: ["good", "check"],
  failed: ["bad", "alert"],
  cancelled: ["plain", "ban"],
  valid: ["good", "check"],
  invalid: ["bad", "alert"],
  loading: ["busy", "refresh"],
  ready: ["good", "check"],
  stopped: ["plain", "stop"],
} satisfies Record<string, [Tone, IconName]>;

export type State = keyof typeof looks;

export function StateBadge({ state }: { state: State }) {
  const { t } = useTranslation();
  // A newer server may know a state that this console does not: show its word.
  const [tone, icon] = (looks as Partial<typeof looks>)[state] ?? (["plain", "clock"] as const);
  return (
    <span className={`badge badge-${tone}`}>
      <Icon name={icon} size={12} />
      {t(`state.${state}`, { defaultValue: state })}
    </span>
  );
}

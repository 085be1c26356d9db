/** Problems by kind, with examples by row and column. */
import { useTranslation } from "react-i18next";
import type { Validation } from "@/api/types";
import { formatNumber } from "@/i18n/formats";
import { groupProblems, type ProblemKind } from "../problems";

const EXAMPLES = 20;

export function ProblemList({ validation }: { validation: Validation }) {
  const { t } = useTranslation("data");
  const kinds = groupProblems(validation.problems, validation.problem_counts);
  if (kinds.length === 0) return null;
  const total = kinds.reduce((sum, kind) => sum + kind.count, 0);
  return (
    <div className="stack">
      <h3>{t("problems", { count: total, total: formatNumber(total) })}</h3>
      {kinds.map((kind, index) => <Kind key={kind.code} kind={kind} open={index === 0} />)}
    </div>
  );
}

function Kind({ kind, open }: { kind: ProblemKind; open: boolean }) {
  const { t } = useTranslation("data");
  const shown = kind.examples.slice(0, EXAMPLES);
  return (
    <details className="problem-kind" open={open}>
      <summary><code>{kind.code}</code> <span className="badge badge-warn">{formatNumber(kind.count)}</span></summary>
      <ul>
        {shown.map((problem, index) => (
          <li key={index}>
            <span className="quiet figures">
              {problem.column ? t("place", { row: problem.row, column: problem.column }) : t("placeRow", { row: problem.row })}
            </span>
            {problem.message}
          </li>
        ))}
      </ul>
      {shown.length < kind.count && <p className="quiet small">{t("moreProblems", { count: kind.count - shown.length })}</p>}
    </details>
  );
}

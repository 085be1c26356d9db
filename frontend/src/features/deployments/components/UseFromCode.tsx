/** How to call a model from a program. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { CodeBlock } from "@/design/CodeBlock";
import { Tabs } from "@/design/Tabs";
import { snippetsFor } from "../snippets";

export default function UseFromCode({ model, question = "What is 12 + 30?" }: { model: string; question?: string }) {
  const { t } = useTranslation();
  const views = snippetsFor(model, location.origin, question).map((snippet) => ({
    id: snippet.id, name: snippet.name, content: <CodeBlock code={snippet.code} />,
  }));
  return (
    <section className="stack" aria-label={t("code.title")}>
      <h3>{t("code.title")}</h3>
      <p className="quiet small">{t("code.explain")} <Link to="/settings/keys">{t("code.key")}</Link></p>
      <Tabs label={t("code.language")} views={views} />
    </section>
  );
}

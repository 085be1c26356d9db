/** The frame of a page: its title, what it is for, what one can do. */
import { type ReactNode, useEffect } from "react";

interface PageProps {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  inspector?: ReactNode;
  children: ReactNode;
}

export function Page({ title, lead, actions, inspector, children }: PageProps) {
  useEffect(() => { document.title = `${title} · Loomworks`; }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <div className="stack">
          <h1>{title}</h1>
          {typeof lead === "string" ? <p>{lead}</p> : lead}
        </div>
        {actions && <div className="row">{actions}</div>}
      </header>
      <div className="page-split" data-inspecting={inspector ? "" : undefined}>
        <div className="stack-6">{children}</div>
        {inspector}
      </div>
    </div>
  );
}

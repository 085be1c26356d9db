/** Views of the same thing, one at a time. */
import type { ReactNode } from "react";
import { Tab, TabList, TabPanel, Tabs as AriaTabs } from "react-aria-components";

export interface View {
  id: string;
  name: string;
  content: ReactNode;
}

export function Tabs({ label, views }: { label: string; views: View[] }) {
  return (
    <AriaTabs>
      <TabList className="tabs-list" aria-label={label}>
        {views.map((view) => <Tab key={view.id} id={view.id} className="tab">{view.name}</Tab>)}
      </TabList>
      {views.map((view) => <TabPanel key={view.id} id={view.id} className="tab-panel">{view.content}</TabPanel>)}
    </AriaTabs>
  );
}

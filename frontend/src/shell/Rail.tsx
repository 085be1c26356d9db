/** The rail: where one is and where one can go. */
import { useTranslation } from "react-i18next";
import { NavLink } from "react-router";
import { Icon } from "@/design/Icon";
import { rooms } from "./navigation";

export function Rail({ onNavigate }: { onNavigate?: () => void }) {
  const { t } = useTranslation();
  return (
    <nav className="rail" aria-label={t("nav.label")}>
      {rooms.map((room) => (
        <NavLink key={room.id} to={room.path} end={room.path === "/"} className="rail-link" onClick={() => onNavigate?.()}>
          <Icon name={room.icon} />
          {t(`nav.${room.id}`)}
        </NavLink>
      ))}
    </nav>
  );
}

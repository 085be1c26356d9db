/** Buttons, and links that look like them. A pending button keeps its place and its focus. */
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Link } from "react-router";
import { Icon, type IconName } from "./Icon";

type Variant = "primary" | "secondary" | "quiet" | "danger";

interface Look {
  variant?: Variant;
  large?: boolean;
  icon?: IconName;
}

function className({ variant = "secondary", large = false }: Look): string {
  return `button button-${variant}${large ? " button-large" : ""}`;
}

type ButtonProps = Look & { pending?: boolean } & ButtonHTMLAttributes<HTMLButtonElement>;

export function Button({ variant, large, icon, pending = false, children, onClick, type = "button", ...rest }: ButtonProps) {
  return (
    <button {...rest} type={type} className={className({ variant, large } as Look)} aria-disabled={pending || undefined}
      onClick={(event) => {
        if (pending) event.preventDefault();
        else onClick?.(event);
      }}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function IconButton({ icon, label, ...rest }: { icon: IconName; label: string } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <button type="button" {...rest} className={`button button-quiet button-icon ${rest.className ?? ""}`} aria-label={label} title={label}>
      <Icon name={icon} />
    </button>
  );
}

export function ButtonLink({ to, children, icon, ...look }: Look & { to: string; children: ReactNode }) {
  return (
    <Link to={to} className={className(look)}>
      {icon && <Icon name={icon} />}
      {children}
    </Link>
  );
}

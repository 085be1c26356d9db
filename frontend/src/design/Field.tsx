/** A labelled control with its help and its fault, wired for assistive technology. */
import { type ReactNode, useId } from "react";
import { Icon } from "./Icon";

interface Wiring {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

interface FieldProps {
  label: string;
  hint?: string;
  fault?: string | null;
  children: (wiring: Wiring) => ReactNode;
}

export function Field({ label, hint, fault, children }: FieldProps) {
  const id = useId();
  const described = [hint ? `${id}-hint` : "", fault ? `${id}-fault` : ""].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label className="field-label" htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": fault ? true : undefined })}
      {hint && <span className="field-hint" id={`${id}-hint`}>{hint}</span>}
      {fault && <span className="field-fault" id={`${id}-fault`}><Icon name="alert" size={12} />{fault}</span>}
    </div>
  );
}

/** Numbers, sizes and times in the reader's language, always with their unit. */
import { currentLanguage } from "./index";

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: digits }).format(value);
}

/** Small figures as a person reads them: 0.0003, 1.284. */
export function formatFigure(value: number, significant = 4): string {
  return new Intl.NumberFormat(currentLanguage(), { maximumSignificantDigits: significant }).format(value);
}

export function formatBytes(bytes: number): string {
  const power = Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const unit = BYTE_UNITS[power] ?? "byte";
  return new Intl.NumberFormat(currentLanguage(), {
    style: "unit", unit, unitDisplay: "short", maximumFractionDigits: power > 1 ? 1 : 0,
  }).format(bytes / 1000 ** power);
}

/** Unix seconds (`/v1`) or RFC 3339 (`/api/v1`). */
export function toDate(time: number | string): Date {
  return new Date(typeof time === "number" ? time * 1000 : time);
}

export function formatTime(time: number | string): string {
  return new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short" }).format(toDate(time));
}

export function formatClock(time: number | string): string {
  return new Intl.DateTimeFormat(currentLanguage(), { timeStyle: "medium" }).format(toDate(time));
}

export function formatAgo(time: number | string, now = Date.now()): string {
  const seconds = Math.round((toDate(time).getTime() - now) / 1000);
  const format = new Intl.RelativeTimeFormat(currentLanguage(), { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < MINUTE) return format.format(Math.min(0, seconds), "second");
  if (size < HOUR) return format.format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY) return format.format(Math.round(seconds / HOUR), "hour");
  return format.format(Math.round(seconds / DAY), "day");
}

export function formatDuration(seconds: number): string {
  const unit = (value: number, name: "hour" | "minute" | "second") =>
    new Intl.NumberFormat(currentLanguage(), { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  if (seconds < MINUTE) return unit(Math.max(1, Math.round(seconds)), "second");
  if (seconds < HOUR) return unit(Math.round(seconds / MINUTE), "minute");
  return `${unit(Math.floor(seconds / HOUR), "hour")} ${unit(Math.round((seconds % HOUR) / MINUTE), "minute")}`;
}

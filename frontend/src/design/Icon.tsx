/** Icons: sixteen-pixel line drawings, always decorative; the word stands beside them or in the label. */
const paths = {
  alert: "M8 2 1.8 13.2h12.4zM8 6.5v3M8 11.4v.1",
  arrow: "M3 8h10M9 4l4 4-4 4",
  ban: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M3.8 3.8l8.4 8.4",
  chat: "M2.5 3.5h11v7.5H7l-3 2.5v-2.5H2.5z",
  check: "M3 8.5 6.5 12 13 4.5",
  chevron: "M4 6l4 4 4-4",
  clock: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 5v3.2l2.2 1.4",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7.5V13H5.5zM10.5 5.5V3H3v7.5h2.5",
  cube: "M8 2 2.8 5v6L8 14l5.2-3V5zM2.8 5 8 8l5.2-3M8 8v6",
  curve: "M2.5 2.5v11h11M4.5 4.5c1.2 5 3.5 6 8.5 6.4",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  gear: "M8 5.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6M8 2v1.8M8 12.2V14M2 8h1.8M12.2 8H14M3.8 3.8l1.2 1.2M11 11l1.2 1.2M12.2 3.8 11 5M5 11l-1.2 1.2",
  home: "M2.5 7.5 8 3l5.5 4.5M4 6.8v6.7h8V6.8",
  key: "M10.5 2.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8.4 7.6 3 13v.5h2.5V12H7v-1.5l1.2-1",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  plus: "M8 3v10M3 8h10",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5V5h-2.6",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 13.5 13.5",
  send: "M2.5 8 13.5 3 11 13.2 7.5 9.3zM7.5 9.3 13.5 3",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5v.1M5 11v.1",
  split: "M2.5 3h11v10h-11zM8 3v10",
  stop: "M4 4h8v8H4z",
  pen: "M3 13l.6-2.8L10.8 3 13 5.2l-7.2 7.2zM9.3 4.5l2.2 2.2",
  trash: "M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5 5 13.5h6l.5-9",
  upload: "M8 11V3M4.5 6 8 2.8 11.5 6M2.5 13.3h11",
  user: "M8 2.5a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 0 0 0-5.4M2.8 13.7c.5-2.8 2.5-4 5.2-4s4.7 1.2 5.2 4",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor"
      strokeWidth="1.4" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

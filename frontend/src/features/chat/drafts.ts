/** What was being written, kept on this device until it is sent. */
const PREFIX = "lw-draft:";

export function readDraft(place: string): string {
  return localStorage.getItem(PREFIX + place) ?? "";
}

export function keepDraft(place: string, text: string): void {
  try {
    if (text) localStorage.setItem(PREFIX + place, text);
    else localStorage.removeItem(PREFIX + place);
  } catch {
    // A full or forbidden store costs the draft's survival, not the writing.
  }
}

/** The thread of a model: a colour that follows its digest through every table, plot and chat. */
export const THREADS = 8;
const SHOWN_DIGITS = 8;

export function threadOf(digest: string): number {
  const head = Number.parseInt(bare(digest).slice(0, SHOWN_DIGITS), 16);
  return Number.isNaN(head) ? THREADS - 1 : head % THREADS;
}

export function shortDigest(digest: string): string {
  return bare(digest).slice(0, SHOWN_DIGITS);
}

function bare(digest: string): string {
  return digest.replace(/^(sha256:|adapter-|base-)/, "");
}

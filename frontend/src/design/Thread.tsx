/** A model's digest, short, behind its colour. */
import { shortDigest, threadOf } from "./thread";

export function Thread({ digest }: { digest: string }) {
  return <span className={`thread thread-${String(threadOf(digest))}`} title={digest}>{shortDigest(digest)}</span>;
}

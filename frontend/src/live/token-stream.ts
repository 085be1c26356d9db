/** One answer's tokens in order: nothing twice, nothing missing, whatever the connection did. */

export type Verdict = "appended" | "duplicate" | "gap";

export class TokenStream {
  private pieces: string[] = [];
  private early = new Map<number, string>();
  private joined = "";

  /** The highest sequence number up to which nothing is missing. */
  get last(): number {
    return this.pieces.length;
  }

  get text(): string {
    return this.joined;
  }

  /** Take token `seq` (from 1). After "gap" the caller asks for what follows `last`. */
  take(seq: number, text: string): Verdict {
    if (seq <= this.last || this.early.has(seq)) return "duplicate";
    this.early.set(seq, text);
    if (seq !== this.last + 1) return "gap";
    for (let next = this.early.get(this.last + 1); next !== undefined; next = this.early.get(this.last + 1)) {
      this.early.delete(this.last + 1);
      this.pieces.push(next);
      this.joined += next;
    }
    return "appended";
  }
}

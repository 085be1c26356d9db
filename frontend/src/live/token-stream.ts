/** One answer's tokens in order: nothing twice, nothing missing, whatever the connection did. */

export type Verdict = "appended" | "duplicate" | "gap";

export class TokenStream {
  private reached = 0;
  private early = new Map<number, string>();
  private joined = "";

  /** The highest sequence number up to which nothing is missing. */
  get last(): number {
    return this.reached;
  }

  get text(): string {
    return this.joined;
  }

  /** Take token `seq` (from 1). After "gap" the caller asks for what follows `last`. */
  take(seq: number, text: string): Verdict {
    if (seq <= this.last || this.early.has(seq)) return "duplicate";
    this.early.set(seq, text);
    if (seq !== this.last + 1) return "gap";
    this.join();
    return "appended";
  }

  /** Take the whole text up to token `seq`, which somebody gets who missed much of it. */
  takeAll(seq: number, text: string): Verdict {
    if (seq <= this.last) return "duplicate";
    this.reached = seq;
    this.joined = text;
    for (const known of [...this.early.keys()]) if (known <= seq) this.early.delete(known);
    this.join();
    return "appended";
  }

  private join(): void {
    for (let next = this.early.get(this.reached + 1); next !== undefined; next = this.early.get(this.reached + 1)) {
      this.reached += 1;
      this.early.delete(this.reached);
      this.joined += next;
    }
  }
}

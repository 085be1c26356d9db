/** Markdown in blocks that can be rendered apart, so that a growing answer redraws only its last one. */
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LIST_ITEM = /^ {0,3}([-*+]|\d{1,9}[.)])\s/;
const INDENTED = /^( {2,}|\t)/;
/** Reference definitions and footnotes reach across blocks. */
const REACHES_ACROSS = /^ {0,3}\[[^\]]+\]:\s/m;

function closesFence(line: string, fence: string): boolean {
  const mark = line.trim();
  return mark.length >= fence.length && [...mark].every((character) => character === fence[0]);
}

function chunksOf(text: string): string[] {
  const chunks: string[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  for (const line of text.split("\n")) {
    if (fence === null && line.trim() === "") {
      if (lines.length) chunks.push(lines.join("\n"));
      lines = [];
      continue;
    }
    lines.push(line);
    if (fence !== null) {
      if (closesFence(line, fence)) fence = null;
    } else {
      fence = FENCE.exec(line)?.[1] ?? null;
    }
  }
  if (lines.length) chunks.push(lines.join("\n"));
  return chunks;
}

/** Split at blank lines outside of code; the parts of a list with blank lines inside stay together. */
export function splitBlocks(text: string): string[] {
  if (REACHES_ACROSS.test(text)) return [text];
  const blocks: string[] = [];
  for (const chunk of chunksOf(text)) {
    const before = blocks.at(-1);
    const continuesList = before !== undefined && LIST_ITEM.test(before) && (LIST_ITEM.test(chunk) || INDENTED.test(chunk));
    if (continuesList) blocks[blocks.length - 1] = `${before}\n\n${chunk}`;
    else blocks.push(chunk);
  }
  return blocks;
}

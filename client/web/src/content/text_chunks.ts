// Splits long text into chunks. The browser lays out only those that are on the screen.

/** Approximate number of characters of a chunk. */
const CHUNK = 8_000;
/** Maximum number of characters to show before a button for the rest. */
const FIRST_PART = 20_000;

/** Splits a text at line ends into chunks of about CHUNK characters; a longer line is split within. */
export function chunksOf(text: string, size: number = CHUNK): readonly string[] {
  const chunks: string[] = [];
  for (let begin = 0; begin < text.length; ) {
    const end = text.length - begin <= size ? text.length : cutAt(text, begin, begin + size);
    chunks.push(text.slice(begin, end));
    begin = end;
  }
  return chunks;
}

/** Characters of a line on the screen, roughly: a longer line of a text is several of them. */
const LINE = 100;

/** The part of a text that is shown first, and about how many lines on the screen it leaves out. */
export function firstPart(
  text: string,
  maximum: number = FIRST_PART,
): { readonly text: string; readonly lines: number } {
  if (text.length <= maximum) return { text, lines: 0 };
  const end = cutAt(text, 0, maximum);
  return { text: text.slice(0, end), lines: linesOf(text.slice(end)) };
}

function linesOf(text: string): number {
  return text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / LINE)), 0);
}

/** A place to cut: behind the last line end before `limit`, or at `limit`, but never within a character. */
function cutAt(text: string, begin: number, limit: number): number {
  const line = text.lastIndexOf("\n", limit - 1);
  if (line > begin) return line + 1;
  const code = text.charCodeAt(limit);
  return code >= 0xdc00 && code <= 0xdfff ? limit - 1 : limit;
}

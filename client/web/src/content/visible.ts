// Makes text from other people safe to look at: no hidden characters, no look-alikes, no padding. The rules are
// those of `askback._text.text.clean`; tests/web/visible_texts.json is the table that both pass.

/** Ordinary text, or the escape that replaces hidden characters. */
type Piece = string | { readonly escape: string };

/** A longer run of spaces within a line is replaced by its length; a tab counts as four. */
const MAX_SPACES = 16;
/** The same limit for spaces at the beginning of a line. */
const MAX_INDENT = 64;
/** Maximum number of accents on one letter, and of unusual spaces in a row, that are shown unchanged. */
const MAX_MARKS = 4;
const TAB_WIDTH = 4;

/** Characters that Unicode calls ignorable, that look blank, or that have no defined appearance. */
const IGNORABLE =
  "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f" +
  "\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffc\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}" +
  "\\u{e0000}-\\u{e0fff}\\u0600-\\u0605\\u06dd\\u070f\\u0890\\u0891\\u08e2\\ue000-\\uf8ff\\ufdd0-\\ufdef\\ufffe" +
  "\\uffff\\u{f0000}-\\u{10ffff}";
const HIDDEN_SET = `\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ud800-\\udfff${IGNORABLE}`;
const HIDDEN = new RegExp(`^[${HIDDEN_SET}]`, "u");
/** Characters that need a check one by one; most text has none. */
const SUSPECTS = new RegExp(`[${HIDDEN_SET}]|[^\\u0000-\\u02ff\\u3041-\\ud7a3]`, "u");
const BLANKS = /[^\S\n]{2,}|[^\S\n \t]/gu;
const EMPTY = /^(?:[^\S\n]*\n){4,}/gmu;
const WORDS = /\p{L}+/gu;
const MARK = /^[\p{Mn}\p{Me}]$/u;
const UNPRINTABLE = /^[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]$/u;
/** The range of emoji; some are newer than the browser's Unicode tables. */
const EMOJI = /^[\u{1f000}-\u{1fbff}]$/u;
const SYMBOL = /^[\p{So}\p{Sm}\u203c\u2049\u3030]$/u;
const JOINING = /^[\ufe0e\ufe0f\p{So}\p{Sk}\u0600-\u0fff]$/u;
const KEYCAP = "\u20e3";
/** Mark where an escape begins and ends while a text is processed. HIDDEN has both, so no text contains them. */
const BEGIN = "\ufdd0";
const END = "\ufdd1";

/** The text in pieces: each invisible character and each long padding is a piece of its own. */
export function visiblePieces(text: string): readonly Piece[] {
  const marked = clean(text);
  if (!marked.includes(BEGIN)) return marked === "" ? [] : [marked];
  const pieces: Piece[] = [];
  for (const part of marked.split(BEGIN)) {
    const end = part.indexOf(END);
    if (end >= 0) pieces.push({ escape: part.slice(0, end) });
    const rest = part.slice(end + 1);
    if (rest !== "") pieces.push(rest);
  }
  return pieces;
}

/** The text with its escapes as text, for attributes. */
export function visibleText(text: string): string {
  return visiblePieces(text)
    .map((piece) => (typeof piece === "string" ? piece : piece.escape))
    .join("");
}

function escapeText(text: string): string {
  return `${BEGIN}<${text}>${END}`;
}

function escapeLetter(letter: string): string {
  return escapeText(`U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`);
}

function clean(text: string): string {
  let found = text.replaceAll("\r\n", "\n");
  if (SUSPECTS.test(found)) found = letters(found).replace(WORDS, oneScript);
  return found
    .replace(BLANKS, (run, place: number, whole: string) => countSpaces(run, place, whole))
    .replace(EMPTY, (run) => `${escapeText(`${run.split("\n").length - 1} empty lines`)}\n`);
}

function letters(text: string): string {
  const all = Array.from(text);
  const found: string[] = [];
  let marks: string[] = [];
  all.forEach((letter, place) => {
    if (letter > "\u007f" && MARK.test(letter) && !HIDDEN.test(letter)) {
      marks.push(letter);
      return;
    }
    found.push(accents(marks));
    marks = [];
    found.push(isShown(letter, all[place - 1] ?? "", all[place + 1] ?? "") ? letter : escapeLetter(letter));
  });
  found.push(accents(marks));
  return found.join("");
}

function isShown(letter: string, before: string, after: string): boolean {
  if (letter === "\n" || letter === "\t") return true;
  const unknown = letter > "\u007f" && UNPRINTABLE.test(letter) && !EMOJI.test(letter);
  return !(unknown || HIDDEN.test(letter)) || isNeeded(letter, before, after);
}

/** Whether an invisible character has its intended effect at this place. */
function isNeeded(letter: string, before: string, after: string): boolean {
  if (letter === "\ufe0e" || letter === "\ufe0f") {
    return SYMBOL.test(before) || (/^[#*0-9]$/.test(before) && after === KEYCAP);
  }
  return (letter === "\u200c" || letter === "\u200d") && JOINING.test(before) && JOINING.test(after);
}

function accents(marks: readonly string[]): string {
  const first = marks[0];
  if (first === undefined || marks.length <= MAX_MARKS) return marks.join("");
  const code = (first.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return escapeText(`${marks.length} marks, U+${code} the first`);
}

/** Writes out the Cyrillic letters of a word that also has Latin ones: the two look alike. */
function oneScript(word: string): string {
  if (!/[\u0400-\u052f]/.test(word) || !/[a-z]/i.test(word)) return word;
  return word.replace(/[\u0400-\u052f]/g, escapeLetter);
}

function countSpaces(run: string, place: number, whole: string): string {
  const atStart = place === 0 || whole[place - 1] === "\n";
  const tabs = run.split("\t").length - 1;
  const isPlain = /^[ \t]*$/.test(run);
  if (isPlain && run.length + (TAB_WIDTH - 1) * tabs <= (atStart ? MAX_INDENT : MAX_SPACES)) return run;
  return run.length <= MAX_MARKS ? " ".repeat(run.length) : escapeText(`${run.length} spaces`);
}

// Finds Markdown that is expensive to read, in one pass over its lines before marked reads it. The limits count work,
// not time, so that every browser shows the same text in the same way.

/** The limit that a text exceeds. Such a text is shown as plain text. */
export type Refusal = "size" | "run" | "depth" | "tokens";

/** Maximum length of the text between two blank lines, outside of code. */
export const MAX_RUN = 8 * 1_024;
/** Maximum length, outside of code, of what marked reads in one step: from one top-level block to the next. */
export const MAX_SECTION = 32 * 1_024;
/** Maximum number of marks of lists, quotes, headings, tables and fences: each becomes two tokens or more. */
export const MAX_MARKERS = 2_500;
/** Maximum depth of quotes and lists: marked reads the inner text again for each level. */
export const MAX_DEPTH = 12;
/** Maximum work for one paragraph or cell: 8 KiB with 128 marks, or 1 KiB of nothing but marks. */
export const MAX_INLINE_WORK = 1_024 * 1_024;
const COLUMNS_PER_LEVEL = 4;

const MARKERS = /^(?:[ \t]*(?:>|[-*+](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$)))+/;
const OTHER_MARKER = /^[ \t]*(?:[#|=~_`*]|-[-|: \t])/;
/** An indented fence may be inside of a list and end with it, so only others are taken as code. */
const FENCE = /^(?:(`{3,})[^`]*|(~{3,}).*)$/;

/** Upper bound of marked's work for one run: it may compare each mark with the whole run. */
export function inlineWork(run: string): number {
  return run.length * (run.match(/[*_~`<[\]\\&]/g)?.length ?? 0);
}

/**
 * Splits a text where a top-level block begins for certain: after a blank line, with a line that is neither indented
 * nor part of a list or quote. Returns the sections, or the limit that the text exceeds.
 */
export function sectionsOf(source: string): readonly string[] | Refusal {
  const sections: string[] = [];
  let begin = 0;
  let place = 0;
  let [run, weight, markers] = [0, 0, 0];
  let fence = "";
  let isAfterBlank = false;
  for (const line of source.split("\n")) {
    const isBlank = line.trim() === "";
    if (fence !== "") {
      if (closes(line, fence)) fence = "";
    } else {
      if (isAfterBlank && !isBlank && /^\S/.test(line) && !MARKERS.test(line)) {
        sections.push(source.slice(begin, place));
        begin = place;
        weight = 0;
      }
      const opening = FENCE.exec(line);
      fence = opening?.[1] ?? opening?.[2] ?? "";
      markers += markersOf(line);
      run = isBlank || fence !== "" ? 0 : run + line.length + 1;
      weight += line.length + 1;
      if (depthOf(line) > MAX_DEPTH) return "depth";
      if (markers > MAX_MARKERS) return "tokens";
      if (run > MAX_RUN || weight > MAX_SECTION) return "run";
    }
    isAfterBlank = isBlank && fence === "";
    place += line.length + 1;
  }
  sections.push(source.slice(begin));
  return sections;
}

function closes(line: string, fence: string): boolean {
  const mark = line.trim();
  return mark.startsWith(fence) && /^[`~]*$/.test(mark);
}

function markersOf(line: string): number {
  const found = MARKERS.exec(line)?.[0].match(/>|[-*+]|\d+[.)]/g)?.length ?? 0;
  return found + (OTHER_MARKER.test(line) ? 1 : 0);
}

/** The depth of the quotes and lists around a line, estimated from its markers and their indentation. */
function depthOf(line: string): number {
  const prefix = MARKERS.exec(line)?.[0] ?? "";
  if (prefix === "") return 0;
  const indent = /^[ \t]*/.exec(prefix)?.[0] ?? "";
  const columns = indent.replaceAll("\t", " ".repeat(COLUMNS_PER_LEVEL)).length;
  return (prefix.match(/>|[-*+]|\d+[.)]/g)?.length ?? 0) + Math.floor(columns / COLUMNS_PER_LEVEL);
}

import { visibleText } from "../content/visible";

/** A text of another person in one line of at most `length` characters, with its hidden characters written out. */
export function oneLine(text: string, length: number): string {
  const line = visibleText(text).replace(/\s+/g, " ").trim();
  const letters = Array.from(line);
  return letters.length <= length ? line : `${letters.slice(0, length - 1).join("")}…`;
}

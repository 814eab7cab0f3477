/** A generator of pseudo-random numbers (mulberry32), so that a failure can be repeated. */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const PIECES = ["a", "10", "2", "é", "😀", '\\"', "\\\\", "\\n", "\u202e", "__proto__", " ", "/"];
const NUMBERS = ["0", "-0", "1e5", "12345678901234567890", "0.10", "-3.00E-7", "9007199254740993"];

/** A JSON text without spaces. */
export function randomText(below: (n: number) => number, depth = 0): string {
  const string = () => `"${Array.from({ length: below(4) }, () => PIECES[below(PIECES.length)]).join("")}"`;
  const kind = below(depth > 4 ? 4 : 6);
  if (kind === 0) return ["true", "false", "null"][below(3)] as string;
  if (kind === 1) return string();
  if (kind < 4) return NUMBERS[below(NUMBERS.length)] as string;
  const items = Array.from({ length: below(5) }, () => randomText(below, depth + 1));
  if (kind === 4) return `[${items.join(",")}]`;
  const names = new Set(items.map(string));
  return `{${[...names].map((name, n) => `${name}:${items[n]}`).join(",")}}`;
}

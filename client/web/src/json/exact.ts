/**
 * Reads and writes JSON without changing it: numbers keep every character, objects keep the order of their
 * names (`JSON.parse` moves names such as "10" to the front), and objects are Maps, so that a name such as
 * `__proto__` is a name like any other.
 */

/** A number of a JSON text, as it is written there. */
export class Num {
  constructor(readonly text: string) {}
}

export type Json = null | boolean | string | Num | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

export type JsonFault =
  | "value_expected"
  | "name_expected"
  | "colon_expected"
  | "comma_expected"
  | "end_expected"
  | "bad_number"
  | "bad_string"
  | "string_not_closed"
  | "name_twice"
  | "too_deep";

/** Why a text is not exact JSON, and where: `offset` from 0, `line` and `column` from 1. */
export class JsonError extends Error {
  override readonly name = "JsonError";

  constructor(
    readonly fault: JsonFault,
    readonly offset: number,
    readonly line: number,
    readonly column: number,
    /** Of `name_twice`: the name. */
    readonly twice = "",
  ) {
    super(`${fault.replaceAll("_", " ")} (line ${line}, column ${column})`);
  }
}

/** The service accepts 64 levels. Content that is only shown may have more. */
const MAX_DEPTH = 500;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const NUMBER_LIKE = /[-+.0-9A-Za-z]+/y;
// Without a nested repetition: a long string cannot exhaust the stack of the regular expression.
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON excludes exactly these from its strings.
const PLAIN_CHARACTERS = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  /** The value of the whole text. Throws JsonError. */
  document(): Json {
    const value = this.value(0);
    this.skip(SPACE);
    if (this.at < this.text.length) throw this.error("end_expected");
    return value;
  }

  private value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.error("too_deep");
    this.skip(SPACE);
    const first = this.text[this.at];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    if (first === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private object(depth: number): JsonObject {
    const found = new Map<string, Json>();
    this.at += 1;
    if (this.accept("}")) return found;
    do {
      this.skip(SPACE);
      const start = this.at;
      if (this.text[start] !== '"') throw this.error("name_expected");
      const name = this.string();
      if (found.has(name)) throw this.error("name_twice", start, name);
      if (!this.accept(":")) throw this.error("colon_expected");
      found.set(name, this.value(depth + 1));
    } while (this.accept(","));
    if (!this.accept("}")) throw this.error("comma_expected");
    return found;
  }

  private array(depth: number): readonly Json[] {
    const found: Json[] = [];
    this.at += 1;
    if (this.accept("]")) return found;
    do found.push(this.value(depth + 1));
    while (this.accept(","));
    if (!this.accept("]")) throw this.error("comma_expected");
    return found;
  }

  private string(): string {
    const start = this.at;
    this.at += 1;
    this.skip(PLAIN_CHARACTERS);
    while (this.text[this.at] === "\\") {
      if (!this.skip(ESCAPE)) throw this.error("bad_string");
      this.skip(PLAIN_CHARACTERS);
    }
    if (this.at >= this.text.length) throw this.error("string_not_closed", start);
    if (this.text[this.at] !== '"') throw this.error("bad_string");
    this.at += 1;
    return JSON.parse(this.text.slice(start, this.at)) as string;
  }

  private number(): Num {
    const start = this.at;
    const like = this.skip(NUMBER_LIKE);
    this.at = start;
    const digits = this.skip(NUMBER);
    if (digits && digits === like) return new Num(digits);
    throw this.error(/^[-+.]?[0-9]/.test(like) ? "bad_number" : "value_expected", start);
  }

  /** Skips spaces and the sign, if it is next. */
  private accept(sign: string): boolean {
    this.skip(SPACE);
    if (this.text[this.at] !== sign) return false;
    this.at += 1;
    return true;
  }

  private skip(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private error(fault: JsonFault, offset = this.at, twice = ""): JsonError {
    const lines = this.text.slice(0, offset).split(/\r\n|\r|\n/);
    return new JsonError(fault, offset, lines.length, [...(lines.at(-1) ?? "")].length + 1, twice);
  }
}

const WORDS: readonly (readonly [string, Json])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** The value of a JSON text. Throws JsonError; also for a name that an object has twice. */
export function parse(text: string): Json {
  return new Reader(text).document();
}

/** The value of a JSON text; undefined if the text is not JSON. */
export function tryParse(text: string): Json | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** The value as JSON text: compact, or with `indent` spaces for each level. */
export function format(value: Json, indent = 0): string {
  return write(value, indent, "\n");
}

function write(value: Json, indent: number, line: string): string {
  if (value instanceof Num) return value.text;
  if (!isObject(value) && !isArray(value)) return JSON.stringify(value);
  const inner = line + " ".repeat(indent);
  const colon = indent ? ": " : ":";
  const parts = isObject(value)
    ? Array.from(value, ([name, item]) => JSON.stringify(name) + colon + write(item, indent, inner))
    : value.map((item) => write(item, indent, inner));
  const [open, close] = isObject(value) ? ["{", "}"] : ["[", "]"];
  if (!parts.length) return open + close;
  return indent ? open + inner + parts.join(`,${inner}`) + line + close : open + parts.join(",") + close;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map;
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

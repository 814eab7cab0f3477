/** Arithmetic on decimal numbers as text, without rounding. */

const DECIMAL = /^([+-]?)([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?$/;

interface Decimal {
  readonly negative: boolean;
  /** Without leading zeros; empty for zero. */
  readonly digits: string;
  /** The position of the decimal point after the first digit: 0 for 1.5, 1 for 15, -1 for 0.15. */
  readonly magnitude: bigint;
}

function decimal(text: string): Decimal {
  const [, sign, whole = "", fraction = "", exponent = "0"] = DECIMAL.exec(text) ?? [];
  const all = whole + fraction;
  const digits = all.replace(/^0+/, "");
  const zeros = all.length - digits.length;
  const magnitude = digits ? BigInt(whole.length - zeros - 1) + BigInt(exponent) : 0n;
  return { negative: sign === "-" && digits !== "", digits: digits.replace(/0+$/, ""), magnitude };
}

/** Negative if `one` is less than `other`, 0 if they are equal, positive if it is more. */
export function compare(one: string, other: string): number {
  const a = decimal(one);
  const b = decimal(other);
  if (a.negative !== b.negative) return a.negative ? -1 : 1;
  const order = compareSizes(a, b);
  return a.negative ? 0 - order : order;
}

function compareSizes(a: Decimal, b: Decimal): number {
  if (!a.digits || !b.digits) return a.digits.length - b.digits.length;
  if (a.magnitude !== b.magnitude) return a.magnitude < b.magnitude ? -1 : 1;
  // Both start at the same place, so the order of the digits is the order of the texts.
  return a.digits === b.digits ? 0 : a.digits < b.digits ? -1 : 1;
}

/** Whether the number has no fraction: 1.0 and 1e2 have none. */
export function isWhole(text: string): boolean {
  const { digits, magnitude } = decimal(text);
  return !digits || magnitude >= BigInt(digits.length - 1);
}

/** The largest power of ten of a number that a program reads as a double. */
const MAX_MAGNITUDE = 308n;

/** Whether a double would be infinite: the service refuses such a number. */
export function isTooLarge(text: string): boolean {
  const { negative, magnitude } = decimal(text);
  return (
    magnitude > MAX_MAGNITUDE || compare(negative ? text.slice(1) : text, "1.797693134862315808e308") >= 0
  );
}

/** The most digits for which `isMultiple` divides. */
const MAX_DIGITS = 400n;

/** Whether the number is a multiple of the step; undefined if they are too far apart to tell cheaply. */
export function isMultiple(text: string, step: string): boolean | undefined {
  const [a, b] = [decimal(text), decimal(step)];
  if (!b.digits) return undefined;
  const [low, high] = [a, b].map((one) => one.magnitude - BigInt(one.digits.length) + 1n) as [bigint, bigint];
  // biome-ignore lint/complexity/useMathMinMax: Math.min takes no bigint.
  const scale = low < high ? low : high;
  if ([a, b].some((one) => one.magnitude - scale > MAX_DIGITS)) return undefined;
  const scaled = (one: Decimal, at: bigint) => BigInt(one.digits || "0") * 10n ** (at - scale);
  return scaled(a, low) % scaled(b, high) === 0n;
}

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 64n - 1n;
const WHOLE = /^-?[0-9]{19,}$/;

/**
 * The JSON number for a text that a person typed: without a plus sign and leading zeros, with a digit on both
 * sides of the point. An integer of more than 64 bits ends in `.0`, because the service takes it only so.
 */
export function spell(text: string): string {
  const [, sign, whole = "", fraction = "", exponent] = DECIMAL.exec(text) ?? [];
  const digits = whole.replace(/^0+(?=[0-9])/, "") || "0";
  const point = text.includes(".") ? `.${fraction || "0"}` : "";
  const spelled = `${sign === "-" ? "-" : ""}${digits}${point}${exponent === undefined ? "" : `e${exponent}`}`;
  if (!WHOLE.test(spelled)) return spelled;
  const size = BigInt(spelled);
  return size < MIN_INTEGER || size > MAX_INTEGER ? `${spelled}.0` : spelled;
}

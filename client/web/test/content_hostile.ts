/** Texts that were made to break a reader. Each repeats to about the given length. */
export function repeatTo(text: string, length: number): string {
  return text.repeat(Math.ceil(length / text.length)).slice(0, length);
}

/** The patterns that make Markdown readers slow, in runs that the limits still let through where they can. */
export const SLOW_MARKS: readonly string[] = [
  "[a](b",
  "[a](b)",
  "![a](b",
  "[a][",
  "[",
  "[[[[a](x)](x)](x)",
  "*a ",
  "_a",
  "a*",
  "~~a",
  "***a**b*",
  "a_b_c*d*",
  "`a",
  "``a`",
  "<a href='",
  "<!--",
  "\\`",
  "[a](<b",
  "[a](b 'c",
  "&amp;",
];

export const SLOW_BLOCKS: readonly string[] = [
  "- a\n",
  "- - - a\n",
  "- a\n\n  b\n\n",
  "> a\n",
  ">>>>>>>> a\n\n",
  "1. a\n",
  "# a\n",
  "a\n===\n",
  "* * *\n",
  "| a | b |\n",
  "|-|-|\n",
  "```\n",
  "~~~a\n",
  "    a\n",
  "\t- a\n",
  " \n",
  "<!-- a\n",
  "[a]: b\n",
];

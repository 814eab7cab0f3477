import assert from "node:assert/strict";
import { test } from "node:test";
import { Lexer } from "marked";
import { MAX_INLINE_WORK, MAX_MARKERS, MAX_RUN, MAX_SECTION } from "../src/content/markdown_limits";
import {
  type Block,
  type Inline,
  MAX_TEXT,
  MAX_TOKENS,
  type MarkdownTree,
  readMarkdown,
} from "../src/content/markdown_tree";
import { repeatTo, SLOW_BLOCKS, SLOW_MARKS } from "./content_hostile";

function read(text: string): MarkdownTree {
  const work = readMarkdown(text);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

function blocks(text: string): readonly Block[] {
  const tree = read(text);
  assert.ok("blocks" in tree, JSON.stringify(tree));
  return tree.blocks;
}

function inlines(text: string): readonly Inline[] {
  const [first, ...others] = blocks(text);
  assert.equal(others.length, 0);
  assert.ok(first?.kind === "paragraph");
  return first.children;
}

/** The text that people read, without marks. */
function textOf(tree: readonly (Block | Inline)[]): string {
  return tree
    .map((node) => {
      if ("text" in node) return node.text;
      if (node.kind === "list") return node.items.map((item) => textOf(item.blocks)).join("\n");
      if (node.kind === "table")
        return [node.header, ...node.rows]
          .flat()
          .map((cell) => textOf(cell))
          .join("\n");
      if ("blocks" in node) return textOf(node.blocks);
      return "children" in node ? textOf(node.children) : "\n";
    })
    .join("\n");
}

function kindsOf(tree: readonly (Block | Inline)[]): Set<string> {
  const found = new Set<string>();
  JSON.stringify(tree, (key, value) => {
    if (key === "kind") found.add(value);
    return value;
  });
  return found;
}

test("the usual Markdown becomes a tree", () => {
  assert.deepEqual(inlines("A **bold *and* more** `x < y` ~~old~~ &amp; \\*"), [
    { kind: "text", text: "A " },
    {
      kind: "strong",
      children: [
        { kind: "text", text: "bold " },
        { kind: "emphasis", children: [{ kind: "text", text: "and" }] },
        { kind: "text", text: " more" },
      ],
    },
    { kind: "text", text: " " },
    { kind: "code", text: "x < y" },
    { kind: "text", text: " " },
    { kind: "deleted", children: [{ kind: "text", text: "old" }] },
    { kind: "text", text: " & " },
    { kind: "text", text: "*" },
  ]);
  const text =
    "# One\n\ntext\n\n- [x] done\n- [ ] open\n\n3. c\n4. d\n\n> quote\n\n```js title\nlet x;\n```\n\n| a | b |\n|:-:|--:|\n| 1 | 2 |\n\n---\n";
  assert.deepEqual(
    blocks(text).map((block) => block.kind),
    ["heading", "paragraph", "list", "list", "quote", "code", "table", "rule"],
  );
  const [, , tasks, numbers, , code, table] = blocks(text);
  assert.ok(
    tasks?.kind === "list" && numbers?.kind === "list" && code?.kind === "code" && table?.kind === "table",
  );
  assert.deepEqual(
    tasks.items.map((item) => item.checked),
    [true, false],
  );
  assert.equal(numbers.start, 3);
  assert.deepEqual([code.language, code.text], ["js title", "let x;"]);
  assert.deepEqual(table.align, ["center", "right"]);
});

test("HTML is text", () => {
  for (const html of [
    "<b>x</b>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- hidden -->",
    "<a href='javascript:1'>x</a>",
  ]) {
    assert.equal(textOf(blocks(html)), html);
    assert.equal(textOf(blocks(`a ${html} b`)), `a ${html} b`);
  }
  const block = "<div>\n\n*x*\n\n</div>";
  assert.equal(textOf(blocks(block)), "<div>\nx\n</div>");
});

test("only http, https and mailto become links, with their host", () => {
  const [link] = inlines('[a *b*](https://Example.org:8443/x?y=1&amp;z=2 "title")');
  assert.ok(link?.kind === "link");
  assert.deepEqual(link.link, { href: "https://example.org:8443/x?y=1&z=2", host: "example.org:8443" });
  assert.equal(link.title, "title");
  const dangerous = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java&#10;script:alert(1)",
    "javascript&#58;alert(1)",
    "&#1;javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "//evil.example",
    "/prompts/1",
    "#x",
    "",
    "https:///",
    "blob:https://x/1",
    "https://bank.example@evil.example/",
    "ftp://x.example",
  ];
  for (const address of dangerous) {
    const text = `[a](<${address}>)`;
    assert.deepEqual([...kindsOf(blocks(text))].sort(), ["paragraph", "text"], address);
    assert.equal(textOf(blocks(text)), text);
  }
  const [mail] = inlines("[a](mailto:ana@example.org)");
  assert.ok(mail?.kind === "link" && mail.link.host === "ana@example.org");
  const [spoof] = inlines("[https://bank.example](https://xn--bnk-0na.example)");
  assert.ok(spoof?.kind === "link" && spoof.link.host === "xn--bnk-0na.example");
  const [homograph] = inlines("[x](https://b\u0430nk.example)");
  assert.ok(homograph?.kind === "link" && homograph.link.host.startsWith("xn--"));
});

test("a link in a link is text, addresses are no links, and definitions are shown", () => {
  assert.deepEqual([...kindsOf(blocks("[![x](https://b.example)](https://a.example)"))].sort(), [
    "link",
    "paragraph",
    "text",
  ]);
  for (const text of ["https://a.example", "www.a.example", "<https://a.example>", "ana@a.example"]) {
    assert.deepEqual([...kindsOf(blocks(text))].sort(), ["paragraph", "text"], text);
    assert.equal(textOf(blocks(text)).replaceAll("\n", ""), text);
  }
  const text = "[a][b]\n\n[b]: https://a.example 'secret'";
  assert.equal(textOf(blocks(text)), "[a][b]\n[b]: https://a.example 'secret'");
});

test("an image is a link", () => {
  const [image] = inlines("![the plan](https://a.example/x.png)");
  assert.ok(image?.kind === "image");
  assert.equal(textOf(image.children), "the plan");
});

test("a table does not lose the cells that its header has no room for", () => {
  const text = "| a | b |\n|---|---|\n| 1 | 2 | delete everything |";
  assert.ok(textOf(blocks(text)).includes("delete everything"));
  const usual = blocks("| a | b |\n|---|---|\n| 1 \\| 2 | `x` |\n3 | 4");
  assert.equal(usual[0]?.kind, "table");
});

test("every word of a text is in its tree", () => {
  const text = [
    "Intro with word1 and [link word2](https://a.example) and ![image word3](https://a.example/i).",
    "> quote word4\nlazy word5\n> > deeper word6",
    "- item word7\n  more word8\n\n  - inner word9\n\n      code word10",
    "1) first word11\n2) second word12",
    "Setext word13\n=====",
    "~~~word14\nfenced word15\n~~~",
    "| word16 | b |\n|--|--|\n| c | word17 |",
    "    indented word18\n\n\tmore word19",
    "<details><summary>word20</summary>\nword21\n</details>",
    "[//]: # (word22)",
    "a[^1] word23\n\n[^1]: note word24",
    "***word25** word26* __word27__ ~~word28~~ `word29`",
    "# word30 #\n###### word31",
    "line word32\\\nword33  \nword34",
  ].join("\n\n");
  const found = JSON.stringify(blocks(text));
  for (let n = 1; n <= 34; n += 1) assert.match(found, new RegExp(`word${n}\\b`), `word${n}`);
});

test("sections are read as the whole text would be", () => {
  const text =
    "# A\n\n- one\n\n  two\n\n- three\n\nfour\n\n```\n\nfive\n\nsix\n```\n\n> seven\n\n    eight\n\n1. nine\n\n   ten\n\neleven\n";
  const kinds = new Lexer({ gfm: true }).blockTokens(text, []).filter((token) => token.type !== "space");
  const names = { blockquote: "quote" } as Record<string, string>;
  assert.deepEqual(
    blocks(text).map((block) => block.kind),
    kinds.map((token) => names[token.type] ?? token.type),
  );
});

/** What marked was made to read, and how often the browser had its turn in between. */
function measure(text: string): { tree: MarkdownTree; runs: number[]; sections: number[]; steps: number } {
  const runs: number[] = [];
  const sections: number[] = [];
  const { inlineTokens, blockTokens } = Lexer.prototype;
  let depth = 0;
  Lexer.prototype.inlineTokens = function (this: Lexer, source, tokens) {
    if (depth === 0) runs.push(source.length * (source.match(/[*_~`<[\]\\&]/g)?.length ?? 0));
    depth += 1;
    try {
      return inlineTokens.call(this, source, tokens);
    } finally {
      depth -= 1;
    }
  };
  Lexer.prototype.blockTokens = function (this: Lexer, source: string, tokens: never) {
    sections.push(source.length);
    return blockTokens.call(this, source, tokens);
  } as typeof blockTokens;
  try {
    const work = readMarkdown(text);
    for (let steps = 1; ; steps += 1) {
      const step = work.next();
      if (step.done) return { tree: step.value, runs, sections, steps };
    }
  } finally {
    Object.assign(Lexer.prototype, { inlineTokens, blockTokens });
  }
}

test("marked never gets more work than the limits allow, and the browser has its turn between two runs", () => {
  const length = 97_000;
  const hostile = [
    ...SLOW_MARKS.flatMap((mark) => [
      repeatTo(mark, length),
      ...[1_000, 4_000].map((run) => repeatTo(`${repeatTo(mark, run)}\n\n`, length)),
    ]),
    ...SLOW_BLOCKS.flatMap((block) => [
      repeatTo(block, length),
      repeatTo(block, 9_000),
      `- a\n  \`\`\`\n\n${repeatTo(block, length)}`,
    ]),
    repeatTo(">", 8_000),
    repeatTo("- ", 8_000),
    Array.from({ length: 300 }, (_, n) => `${"  ".repeat(n)}- a`).join("\n"),
    repeatTo("*a **b ", 2_000),
  ];
  for (const text of hostile) {
    const { runs, sections, steps } = measure(text);
    assert.ok(Math.max(0, ...runs) <= MAX_INLINE_WORK, text.slice(0, 40));
    const inFence = /^(```|~~~)/m.test(text);
    assert.ok(inFence || Math.max(0, ...sections) <= MAX_SECTION + MAX_RUN, text.slice(0, 40));
    assert.ok(steps >= runs.length, text.slice(0, 40));
    // Levels are read once each: quotes and lists may repeat the text that they hold.
    assert.ok(sections.reduce((sum, each) => sum + each, 0) <= 14 * (text.length + 1), text.slice(0, 40));
  }
});

test("a text beyond a limit is refused with its reason", () => {
  const refusals: [string, string][] = [
    [repeatTo("word\n\n", MAX_TEXT + 1), "size"],
    [repeatTo("word ", MAX_RUN + 1), "run"],
    [repeatTo("[a](b", 97_000), "run"],
    [repeatTo("- a\n", 4 * (MAX_MARKERS + 1)), "tokens"],
    [repeatTo("- a\n\n", 5 * (MAX_MARKERS + 1)), "tokens"],
    [repeatTo("a\n\n", 3 * (MAX_TOKENS + 1)), "tokens"],
    [`${">".repeat(13)} a`, "depth"],
    [`${"    ".repeat(13)}- a`, "depth"],
    [repeatTo("*a **b ", 3_000), "run"],
  ];
  for (const [text, refusal] of refusals) {
    assert.deepEqual(read(text), { refusal }, text.slice(0, 30));
  }
  assert.ok("blocks" in read(`\`\`\`\n${repeatTo("code\n", 200_000)}\n\`\`\``));
  assert.ok(
    "blocks" in
      read(repeatTo("An ordinary paragraph with a [link](https://a.example) and *marks*.\n\n", 60_000)),
  );
});

// Reads Markdown into a tree of the elements that the page may show. marked reads the syntax. Everything outside of the
// allow-list below (HTML, automatic links, definitions) stays text. No token's text is parsed a second time.

import { Lexer, type MarkedToken, type Token, Tokenizer, type Tokens } from "marked";
import { characterReferences } from "./character_references";
import { type SafeLink, safeLink } from "./links";
import { inlineWork, MAX_INLINE_WORK, type Refusal, sectionsOf } from "./markdown_limits";

export type Inline =
  | { readonly kind: "text" | "code"; readonly text: string }
  | { readonly kind: "break" }
  | { readonly kind: "strong" | "emphasis" | "deleted"; readonly children: readonly Inline[] }
  | {
      readonly kind: "link" | "image";
      readonly link: SafeLink;
      readonly title: string;
      readonly children: readonly Inline[];
    };

export interface ListItem {
  /** Undefined if the item is not a task. */
  readonly checked: boolean | undefined;
  readonly blocks: readonly Block[];
}

type Align = "left" | "center" | "right" | null;

export type Block =
  | { readonly kind: "paragraph"; readonly children: readonly Inline[] }
  | { readonly kind: "heading"; readonly depth: number; readonly children: readonly Inline[] }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "quote"; readonly blocks: readonly Block[] }
  | { readonly kind: "list"; readonly start: number | null; readonly items: readonly ListItem[] }
  | {
      readonly kind: "table";
      readonly align: readonly Align[];
      readonly header: readonly (readonly Inline[])[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    }
  | { readonly kind: "rule" };

export type MarkdownTree = { readonly blocks: readonly Block[] } | { readonly refusal: Refusal };

/** Maximum length of a text, in UTF-16 units. */
export const MAX_TEXT = 256 * 1_024;
/** Maximum number of elements that a text becomes, without their texts. */
export const MAX_TOKENS = 5_000;
/** Maximum depth of lists and quotes in one another, counted with their items. */
const MAX_BLOCK_DEPTH = 24;
/** Maximum depth of emphasis and links in one another. */
const MAX_INLINE_DEPTH = 16;

class PlainTokenizer extends Tokenizer {
  override html(): undefined {}
  override tag(): undefined {}
  override autolink(): undefined {}
  override url(): undefined {}
  /** A definition would hide its text, so it stays text, and so do links that refer to one. */
  override def(): undefined {}

  /** Markdown drops the cells of a row that are beyond the header's. Such a table stays text. */
  override table(source: string): Tokens.Table | undefined {
    const table = super.table(source);
    const lines = table?.raw.trimEnd().split("\n").slice(2) ?? [];
    return table && lines.every((line) => cellsOf(line) <= table.header.length) ? table : undefined;
  }
}

function cellsOf(row: string): number {
  return row
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "")
    .split(/(?<!\\)\|/).length;
}

class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
  }
}

/** Reads a text in steps, so that the caller can let the browser paint and take input between them. */
export function* readMarkdown(text: string): Generator<void, MarkdownTree> {
  const source = text.replace(/\r\n?/g, "\n");
  if (source.length > MAX_TEXT) return { refusal: "size" };
  const found = sectionsOf(source);
  if (typeof found === "string") return { refusal: found };
  try {
    const reader = new TreeReader();
    const blocks: Block[] = [];
    for (const section of found) {
      yield;
      const lexer = new Lexer({ gfm: true, tokenizer: new PlainTokenizer() });
      const tokens = lexer.blockTokens(section, []);
      for (const run of lexer.inlineQueue) {
        if (inlineWork(run.src) > MAX_INLINE_WORK) return { refusal: "run" };
        lexer.inlineTokens(run.src, run.tokens);
        yield;
      }
      for (const token of tokens) blocks.push(...reader.block(token, 0));
    }
    return { blocks };
  } catch (error) {
    if (error instanceof Refused) return { refusal: error.refusal };
    if (error instanceof RangeError) return { refusal: "depth" };
    throw error;
  }
}

class TreeReader {
  #tokens = 0;

  block(token: Token, depth: number): Block[] {
    if (token.type === "space") return [];
    this.#count(depth, MAX_BLOCK_DEPTH);
    const known = token as MarkedToken;
    switch (known.type) {
      case "checkbox":
        return [];
      case "hr":
        return [{ kind: "rule" }];
      case "heading":
        return [{ kind: "heading", depth: known.depth, children: this.#inlines(known.tokens) }];
      case "paragraph":
        return [{ kind: "paragraph", children: this.#inlines(known.tokens) }];
      case "text":
        return [
          { kind: "paragraph", children: known.tokens ? this.#inlines(known.tokens) : [leaf(known.text)] },
        ];
      case "code":
        return [{ kind: "code", language: known.lang ?? "", text: known.text }];
      case "blockquote":
        return [{ kind: "quote", blocks: this.#blocks(known.tokens, depth) }];
      case "list":
        return [
          {
            kind: "list",
            start: known.ordered ? Number(known.start) : null,
            items: known.items.map((item) => ({
              checked: item.task ? item.checked === true : undefined,
              blocks: this.#blocks(item.tokens, depth),
            })),
          },
        ];
      case "table":
        return [
          {
            kind: "table",
            align: known.align,
            header: known.header.map((cell) => this.#inlines(cell.tokens)),
            rows: known.rows.map((row) => row.map((cell) => this.#inlines(cell.tokens))),
          },
        ];
      default:
        return [{ kind: "paragraph", children: [{ kind: "text", text: token.raw }] }];
    }
  }

  #blocks(tokens: readonly Token[], depth: number): Block[] {
    return tokens.flatMap((token) => this.block(token, depth + 1));
  }

  #inlines(tokens: readonly Token[], depth = 0, inLink = false): Inline[] {
    return tokens.flatMap((token) => this.#inline(token, depth, inLink));
  }

  #inline(token: Token, depth: number, inLink: boolean): Inline[] {
    const known = token as MarkedToken;
    if (known.type === "text") return [leaf(known.text)];
    this.#count(depth, MAX_INLINE_DEPTH);
    switch (known.type) {
      case "escape":
        return [{ kind: "text", text: known.text }];
      case "codespan":
        return [{ kind: "code", text: known.text }];
      case "br":
        return [{ kind: "break" }];
      case "checkbox":
        return [];
      case "strong":
        return [{ kind: "strong", children: this.#inlines(known.tokens, depth + 1, inLink) }];
      case "em":
        return [{ kind: "emphasis", children: this.#inlines(known.tokens, depth + 1, inLink) }];
      case "del":
        return [{ kind: "deleted", children: this.#inlines(known.tokens, depth + 1, inLink) }];
      case "link":
      case "image":
        return this.#link(known, depth, inLink);
      default:
        return [{ kind: "text", text: token.raw }];
    }
  }

  #link(token: Tokens.Link | Tokens.Image, depth: number, inLink: boolean): Inline[] {
    const link = inLink ? null : safeLink(characterReferences(token.href));
    if (link === null) return [{ kind: "text", text: token.raw }];
    const children = this.#inlines(token.tokens, depth + 1, true);
    const kind = token.type === "image" ? "image" : "link";
    return [{ kind, link, title: characterReferences(token.title ?? ""), children }];
  }

  #count(depth: number, maximum: number): void {
    this.#tokens += 1;
    if (this.#tokens > MAX_TOKENS) throw new Refused("tokens");
    if (depth > maximum) throw new Refused("depth");
  }
}

function leaf(text: string): Inline {
  return { kind: "text", text: characterReferences(text) };
}

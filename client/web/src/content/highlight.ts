// Syntax highlighting with highlight.js. This module is loaded when the first code is shown. A custom emitter collects
// spans instead of HTML.

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

export type Span = string | { readonly scope: string; readonly children: readonly Span[] };

const LANGUAGES = { bash, css, go, ini, java, javascript, json, python, rust, sql, typescript, xml, yaml };
/** Code with more spans has no colours, because it would be slow to show. */
const MAX_SPANS = 4_000;

interface OpenSpan {
  readonly scope: string;
  readonly children: Span[];
}

/** An emitter for highlight.js, which calls these methods. */
class Collector {
  readonly root: OpenSpan = { scope: "", children: [] };
  readonly #open: OpenSpan[] = [this.root];
  count = 0;

  addText(text: string): void {
    if (text !== "") this.#add(text);
  }

  startScope(scope: string): void {
    const span: OpenSpan = { scope: scope.replace(/[^a-z0-9]+/gi, "-"), children: [] };
    this.#add(span);
    this.#open.push(span);
  }

  endScope(): void {
    if (this.#open.length > 1) this.#open.pop();
  }

  openNode(scope: string): void {
    this.startScope(scope);
  }

  closeNode(): void {
    this.endScope();
  }

  __addSublanguage(inner: Collector): void {
    for (const span of inner.root.children) this.#add(span);
    this.count += inner.count;
  }

  finalize(): void {}

  toHTML(): string {
    return "";
  }

  #add(span: Span | OpenSpan): void {
    this.count += 1;
    this.#open.at(-1)?.children.push(span);
  }
}

const highlighter = hljs.newInstance();
highlighter.configure({ __emitter: Collector as never });
for (const [name, language] of Object.entries(LANGUAGES)) highlighter.registerLanguage(name, language);

/** The spans of the code; null for an unknown language, and above MAX_SPANS. */
export function highlight(text: string, language: string): readonly Span[] | null {
  const name = /^[\w+#.-]+/.exec(language.toLowerCase())?.[0] ?? "";
  if (highlighter.getLanguage(name) === undefined) return null;
  const collector = highlighter.highlight(text, { language: name, ignoreIllegals: true })
    ._emitter as unknown as Collector;
  return collector.count <= MAX_SPANS && textOf(collector.root.children) === text
    ? collector.root.children
    : null;
}

/** The text of the spans. It must equal the code, because people decide on what they read. */
export function textOf(spans: readonly Span[]): string {
  return spans.map((span) => (typeof span === "string" ? span : textOf(span.children))).join("");
}

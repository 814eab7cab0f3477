import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Span } from "./highlight";
import { LongText } from "./long_text";
import { Plain } from "./plain";
import { estimatedHeight } from "./seen_lines";
import { useLazy } from "./slices";
import { visiblePieces } from "./visible";

/** Longer code has no colours, because highlight.js cannot work in slices. */
const MAX_HIGHLIGHTED = 20_000;

const load = () => import("./highlight");

/** Shows code. It is complete and has no colours until the highlighter has loaded, or if that fails. */
export function Code(props: { readonly text: string; readonly language: string }): JSX.Element {
  return (
    <figure class="code">
      {props.language !== "" && (
        <figcaption>
          <Plain text={props.language} />
        </figcaption>
      )}
      {isHighlightable(props.text, props.language) ? (
        <Coloured {...props} />
      ) : (
        <LongText text={props.text} code />
      )}
    </figure>
  );
}

/** Text with hidden characters has no colours, so that each of them is shown as such. */
function isHighlightable(text: string, language: string): boolean {
  return (
    language !== "" &&
    text.length <= MAX_HIGHLIGHTED &&
    visiblePieces(text).every((p) => typeof p === "string")
  );
}

function Coloured(props: { readonly text: string; readonly language: string }): JSX.Element {
  const module = useLazy(load);
  const [spans, setSpans] = useState<readonly Span[] | null>(null);
  useEffect(() => {
    setSpans(module === null || module === "failed" ? null : module.highlight(props.text, props.language));
  }, [module, props.text, props.language]);
  if (spans === null) return <LongText text={props.text} code />;
  return (
    <div class="long-text code-text">
      <div class="chunk" style={estimatedHeight(props.text.split("\n").length)} dir="ltr" data-seen>
        {spans.map(spanView)}
      </div>
    </div>
  );
}

function spanView(span: Span, place: number): JSX.Element | string {
  if (typeof span === "string") return span;
  return (
    <span key={place} class={`hl-${span.scope}`}>
      {span.children.map(spanView)}
    </span>
  );
}

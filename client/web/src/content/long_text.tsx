import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { t } from "../words/later";
import { Pieces } from "./plain";
import { estimatedHeight } from "./seen_lines";
import { useGrowing } from "./slices";
import { chunksOf, firstPart } from "./text_chunks";

/** Number of chunks that each task adds. */
const CHUNKS_PER_TASK = 1;

/** A button that shows the rest of a text. `lines` is the number of lines that it hides, for `useSeen`. */
export function ShowAll(props: {
  readonly characters: number;
  readonly lines: number;
  readonly onShow: () => void;
}): JSX.Element {
  return (
    <button type="button" class="show-all" data-withheld={props.lines} onClick={props.onShow}>
      {t("content.show_all", { n: props.characters })}
    </button>
  );
}

/** Shows a plain text of any length. Code is always left to right. */
export function LongText({
  text,
  code = false,
}: {
  readonly text: string;
  readonly code?: boolean;
}): JSX.Element {
  const [shownText, showWhole] = useState("");
  const first = firstPart(text);
  const isWhole = first.lines === 0 || shownText === text;
  const chunks = useMemo(
    () =>
      chunksOf(isWhole ? text : first.text).map((chunk, place) => (
        <Chunk key={place} text={chunk} code={code} />
      )),
    [text, isWhole, code],
  );
  const shown = useGrowing(chunks.length, CHUNKS_PER_TASK);
  return (
    <div class={code ? "long-text code-text" : "long-text"}>
      {chunks.slice(0, shown)}
      {shown < chunks.length && <p data-withheld={chunks.length - shown}>{t("content.working")}</p>}
      {!isWhole && <ShowAll characters={text.length} lines={first.lines} onShow={() => showWhole(text)} />}
    </div>
  );
}

function Chunk({ text, code }: { readonly text: string; readonly code: boolean }): JSX.Element {
  return (
    <div class="chunk" style={estimatedHeight(text.split("\n").length)} dir={code ? "ltr" : "auto"} data-seen>
      <Pieces text={text} />
    </div>
  );
}

import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { JsonError, type Json, parse } from "../json/exact";
import {
  firstState,
  type JsonRow,
  keyEffect,
  rowsOf,
  sizesOf,
  type TreeState,
  toggled,
  wholeState,
} from "./json_rows";
import { LongText, ShowAll } from "./long_text";
import { Pieces } from "./plain";
import { t } from "./say";
import { useGrowing } from "./slices";
import { firstPart } from "./text_chunks";

const ROWS_PER_TASK = 150;
/** A longer value is shown in part, with a button. */
const MAX_VALUE = 2_000;

/** JSON as a tree that opens and closes; the text as it is where it is not JSON. */
export function JsonTree({ text }: { readonly text: string }): JSX.Element {
  const read = useMemo(() => readJson(text), [text]);
  if (read instanceof JsonError) {
    return (
      <div class="json">
        <p class="note">{t("content.json.not", { line: String(read.line), column: String(read.column) })}</p>
        <LongText text={text} code />
      </div>
    );
  }
  return <Tree key={text} root={read.root} text={text} />;
}

function readJson(text: string): { readonly root: Json } | JsonError {
  try {
    return { root: parse(text) };
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
}

function Tree({ root, text }: { readonly root: Json; readonly text: string }): JSX.Element {
  const sizes = useMemo(() => sizesOf(root), [root]);
  const [state, setState] = useState<TreeState>(() => firstState(root));
  const [isText, setText] = useState(false);
  const [current, setCurrent] = useState("");
  const element = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => rowsOf(root, state, sizes), [root, state, sizes]);
  const shown = useGrowing(rows.length, ROWS_PER_TASK);
  const at = Math.max(
    rows.findIndex((row) => row.id === current),
    0,
  );

  function focus(place: number): void {
    setCurrent(rows[place]?.id ?? "");
    element.current?.querySelectorAll<HTMLElement>("[role=treeitem]")[place]?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target instanceof HTMLButtonElement) return;
    const effect = keyEffect(rows.slice(0, shown), at, event.key);
    if (effect === null) return;
    event.preventDefault();
    event.stopPropagation();
    if ("focus" in effect) focus(effect.focus);
    else toggle(effect.toggle);
  }

  function toggle(place: number): void {
    const row = rows[place];
    if (row === undefined) return;
    setState(toggled(state, row));
    setCurrent(row.id);
  }

  return (
    <div class="json">
      <p class="json-tools">
        <button type="button" onClick={() => setState(wholeState(root))}>
          {t("content.json.expand_all")}
        </button>
        <button type="button" onClick={() => setState({ open: new Set([""]), shown: new Map() })}>
          {t("content.json.collapse_all")}
        </button>
        <button type="button" onClick={() => setText(!isText)}>
          {t(isText ? "content.json.as_tree" : "content.json.copy")}
        </button>
      </p>
      {isText ? (
        <LongText text={text} code />
      ) : (
        <div
          class="json-tree"
          role="tree"
          aria-label={t("content.json.tree")}
          ref={element}
          onKeyDown={onKeyDown}
        >
          {rows.slice(0, shown).map((row, place) => (
            <Row
              key={row.id}
              row={row}
              isCurrent={place === at}
              onToggle={() => toggle(place)}
              onKeyDown={onKeyDown}
            />
          ))}
        </div>
      )}
      {!isText && shown < rows.length && <p data-withheld={rows.length - shown}>{t("content.working")}</p>}
    </div>
  );
}

function Row(props: {
  readonly row: JsonRow;
  readonly isCurrent: boolean;
  readonly onToggle: () => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}): JSX.Element {
  const { row } = props;
  const isContainer = row.count > 0 && row.shape !== "more";
  return (
    <div
      role="treeitem"
      class={`json-row json-${row.shape}`}
      style={{ paddingInlineStart: `${Math.min(row.level - 1, 20) * 1.25}em` }}
      tabIndex={props.isCurrent ? 0 : -1}
      aria-level={row.level}
      aria-posinset={row.place}
      aria-setsize={row.siblings}
      aria-expanded={isContainer ? row.isOpen : undefined}
      data-seen
      data-withheld={row.withheld > 0 ? row.withheld : undefined}
      onKeyDown={props.onKeyDown}
      onClick={isContainer || row.shape === "more" ? props.onToggle : undefined}
    >
      <span class="json-arrow" aria-hidden="true">
        {isContainer ? (row.isOpen ? "▾ " : "▸ ") : "  "}
      </span>
      {row.name !== null && (
        <>
          <bdi class="json-name">
            <Pieces text={row.name} />
          </bdi>
          {": "}
        </>
      )}
      <Value row={row} />
    </div>
  );
}

function Value({ row }: { readonly row: JsonRow }): JSX.Element {
  const [isWhole, showWhole] = useState(false);
  switch (row.shape) {
    case "object":
      return <span class="json-count">{`{ } ${t("content.json.fields", { n: row.count })}`}</span>;
    case "array":
      return <span class="json-count">{`[ ] ${t("content.json.items", { n: row.count })}`}</span>;
    case "more":
      return <span class="json-count">{t("content.json.more", { n: row.count })}</span>;
    case "value": {
      const isCut = row.text.length > MAX_VALUE && !isWhole;
      return (
        <bdi class={row.text.startsWith('"') ? "json-text" : "json-value"}>
          <Pieces text={isCut ? firstPart(row.text, MAX_VALUE).text : row.text} />
          {isCut && <ShowAll characters={row.text.length} lines={1} onShow={() => showWhole(true)} />}
        </bdi>
      );
    }
  }
}

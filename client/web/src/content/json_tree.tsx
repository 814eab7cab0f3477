import type { JSX, RefObject } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { rich, t } from "../words/later";
import { type Json, JsonError, parse } from "../json/exact";
import {
  FIRST_ROWS,
  type JsonRow,
  keyEffect,
  MOST_ROWS,
  openState,
  reuseRows,
  rowsOf,
  sizesOf,
  type TreeState,
  toggleRow,
} from "./json_rows";
import { LongText, ShowAll } from "./long_text";
import { Pieces, Plain } from "./plain";
import { useGrowing } from "./slices";
import { firstPart } from "./text_chunks";

const ROWS_PER_TASK = 150;
/** A longer value is shown in part, with a button. */
const MAX_VALUE = 2_000;
/** Deeper rows are indented no further; their level is told to screen readers. */
const MAX_INDENT = 20;

/** Shows JSON as a tree; a text that is not JSON as it is. */
export function JsonTree({ text }: { readonly text: string }): JSX.Element {
  const read = useMemo(() => readJson(text), [text]);
  if (read instanceof JsonError) {
    return (
      <div class="json">
        <p class="note">
          {rich(read.fault === "name_twice" ? "content.json.twice" : "content.json.not", {
            line: String(read.line),
            column: String(read.column),
            name: <Plain text={read.twice} />,
          })}
        </p>
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
  const [state, setState] = useState<TreeState>(() => openState(root, FIRST_ROWS));
  const [isText, setText] = useState(false);
  const [current, setCurrent] = useState("");
  const element = useRef<HTMLDivElement>(null);
  const before = useRef<readonly JsonRow[]>([]);
  const rows = useMemo(() => reuseRows(rowsOf(root, state, sizes), before.current), [root, state, sizes]);
  before.current = rows;
  const shown = useGrowing(rows.length, ROWS_PER_TASK);
  const isKnown = rows.some((row) => row.id === current);

  function focus(id: string): void {
    setCurrent(id);
    const all = element.current?.querySelectorAll<HTMLElement>("[role=treeitem]") ?? [];
    all[rows.findIndex((row) => row.id === id)]?.focus();
  }

  function toggle(row: JsonRow): void {
    setState(toggleRow(state, row));
    setCurrent(row.id);
  }

  function press(row: JsonRow, event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target instanceof HTMLButtonElement) return;
    const visible = rows.slice(0, shown);
    const effect = keyEffect(visible, visible.indexOf(row), event.key);
    if (effect === null) return;
    event.preventDefault();
    event.stopPropagation();
    if ("focus" in effect) focus(visible[effect.focus]?.id ?? "");
    else toggle(row);
  }

  const actions = useRef<RowActions>({ toggle, press });
  actions.current = { toggle, press };
  const drawn = useRef(new WeakMap<JsonRow, JSX.Element>());

  /** Reuses the element of an unchanged row, so that Preact skips it. */
  function draw(row: JsonRow, place: number): JSX.Element {
    const isCurrent = isKnown ? row.id === current : place === 0;
    const known = isCurrent ? undefined : drawn.current.get(row);
    if (known !== undefined) return known;
    const made = <Row key={row.id} row={row} isCurrent={isCurrent} actions={actions} />;
    if (!isCurrent) drawn.current.set(row, made);
    return made;
  }

  return (
    <div class="json">
      <p class="json-tools">
        <button type="button" onClick={() => setState(openState(root, MOST_ROWS))}>
          {t("content.json.expand_all")}
        </button>
        <button type="button" onClick={() => setState({ open: new Set([""]), shown: new Map() })}>
          {t("content.json.collapse_all")}
        </button>
        <button type="button" onClick={() => setText(!isText)}>
          {t(isText ? "content.json.as_tree" : "content.json.as_text")}
        </button>
      </p>
      {isText ? (
        <LongText text={text} code />
      ) : (
        <div class="json-tree" role="tree" aria-label={t("content.json.tree")} ref={element}>
          {rows.slice(0, shown).map(draw)}
        </div>
      )}
      {!isText && shown < rows.length && <p data-withheld={rows.length - shown}>{t("content.working")}</p>}
    </div>
  );
}

interface RowActions {
  toggle(row: JsonRow): void;
  press(row: JsonRow, event: KeyboardEvent): void;
}

function Row(props: {
  readonly row: JsonRow;
  readonly isCurrent: boolean;
  readonly actions: RefObject<RowActions>;
}): JSX.Element {
  const { row, actions } = props;
  const isContainer = row.count > 0 && row.shape !== "more";
  return (
    <div
      role="treeitem"
      class={`json-row json-${row.shape}`}
      style={{ paddingInlineStart: `${Math.min(row.level - 1, MAX_INDENT) * 1.25}em` }}
      tabIndex={props.isCurrent ? 0 : -1}
      aria-level={row.level}
      aria-posinset={row.place}
      aria-setsize={row.siblings}
      aria-expanded={isContainer ? row.isOpen : undefined}
      data-seen
      data-withheld={row.withheld > 0 ? row.withheld : undefined}
      onKeyDown={(event) => actions.current?.press(row, event)}
      onClick={isContainer || row.shape === "more" ? () => actions.current?.toggle(row) : undefined}
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

// The view of a diff. This module and jsdiff are loaded when the first diff is shown. Signs and underlined words mark a
// change, so that it can be read without colours.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { t } from "../words/later";
import { type DiffSource, readDiff } from "./compare_texts";
import { type DiffRow, isChange, type Pair, pairsOf, type Section, sectionsOf } from "./diff_rows";
import { ShowAll } from "./long_text";
import { Pieces } from "./plain";
import { estimatedHeight } from "./seen_lines";
import { useGrowing, useSlices } from "./slices";
import { firstPart } from "./text_chunks";

type DiffLayout = "unified" | "split";

const ROWS_PER_GROUP = 50;
/** Maximum number of characters of a line to show before a button for the rest. */
const MAX_LINE = 4_000;

export function DiffBody(props: {
  readonly source: DiffSource;
  /** Shown if the texts are too different to compare. */
  readonly texts: JSX.Element;
}): JSX.Element {
  const inputs = Object.values(props.source);
  const read = useSlices(() => rowsIn(props.source), inputs);
  const [layout, setLayout] = useState<DiffLayout>("unified");
  if (read === null) return <p data-withheld={1}>{t("content.working")}</p>;
  if (read.rows === null) {
    return (
      <div class="diff">
        <p class="note">{t("content.diff.too_large")}</p>
        {props.texts}
      </div>
    );
  }
  const count = (kind: DiffRow["kind"]) => read.rows?.filter((row) => row.kind === kind).length ?? 0;
  const [added, removed] = [count("added"), count("removed")];
  return (
    <div class="diff">
      <div class="diff-tools">
        <span class="diff-count">
          {added + removed === 0
            ? t("content.diff.equal")
            : `${t("content.diff.count.added", { n: added })}, ${t("content.diff.count.removed", { n: removed })}`}
        </span>
        <span>
          <button type="button" aria-pressed={layout === "unified"} onClick={() => setLayout("unified")}>
            {t("content.diff.unified")}
          </button>
          <button type="button" aria-pressed={layout === "split"} onClick={() => setLayout("split")}>
            {t("content.diff.split")}
          </button>
        </span>
      </div>
      <Rows rows={read.rows} layout={layout} />
    </div>
  );
}

/** Wraps the rows in an object: for `useSlices`, null means that the work is not done. */
function* rowsIn(source: DiffSource): Generator<void, { readonly rows: readonly DiffRow[] | null }> {
  return { rows: yield* readDiff(source) };
}

function Rows(props: {
  readonly rows: readonly DiffRow[];
  readonly layout: DiffLayout;
  /** Whether these are the lines of a fold that was opened. */
  readonly isOpened?: boolean;
}): JSX.Element {
  const { rows, layout, isOpened = false } = props;
  const groups = useMemo(() => {
    const sections = isOpened ? [{ isFold: false, rows }] : sectionsOf(rows);
    return sections
      .flatMap(groupsOf)
      .map((group, place) => <Group key={place} group={group} layout={layout} />);
  }, [rows, layout, isOpened]);
  const shown = useGrowing(groups.length, 1);
  return (
    <div class={`diff-rows diff-${layout}`}>
      {groups.slice(0, shown)}
      {shown < groups.length && (
        <p data-withheld={(groups.length - shown) * ROWS_PER_GROUP}>{t("content.working")}</p>
      )}
    </div>
  );
}

/** Splits a section into groups of about ROWS_PER_GROUP rows. A short change stays in one group, with its pairs. */
function groupsOf(section: Section): readonly Section[] {
  if (section.isFold) return [section];
  const groups: Section[] = [];
  for (let begin = 0; begin < section.rows.length; ) {
    let end = begin + ROWS_PER_GROUP;
    const most = end + ROWS_PER_GROUP;
    while (end < most && isChange(section.rows[end])) end += 1;
    groups.push({ isFold: false, rows: section.rows.slice(begin, end) });
    begin = end;
  }
  return groups;
}

function Group({ group, layout }: { readonly group: Section; readonly layout: DiffLayout }): JSX.Element {
  if (group.isFold) return <Fold rows={group.rows} layout={layout} />;
  return (
    <div class="diff-group" style={estimatedHeight(group.rows.length)} data-seen>
      {layout === "split"
        ? pairsOf(group.rows).map((pair, line) => <PairView key={line} pair={pair} />)
        : group.rows.map((row, line) => <RowView key={line} row={row} />)}
    </div>
  );
}

/**
 * Unchanged lines behind a button that says how many they are. They are not part of what is decided, so they do not count
 * as text that was not seen, as long as they are folded.
 */
function Fold({
  rows,
  layout,
}: {
  readonly rows: readonly DiffRow[];
  readonly layout: DiffLayout;
}): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        class="fold"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
        data-seen
        data-folded={isOpen ? undefined : rows.length}
      >
        {t(isOpen ? "content.diff.unfold" : "content.diff.fold", { n: rows.length })}
      </button>
      {isOpen ? <Rows rows={rows} layout={layout} isOpened /> : null}
    </>
  );
}

function RowView({ row }: { readonly row: DiffRow }): JSX.Element {
  return (
    <div class={`diff-row diff-${row.kind}`} data-change={row.begins}>
      <span class="diff-number">{row.before}</span>
      <span class="diff-number">{row.after}</span>
      <Sign kind={row.kind} />
      <LineText row={row} />
    </div>
  );
}

function PairView({ pair }: { readonly pair: Pair }): JSX.Element {
  if ("across" in pair) {
    return (
      <div class={`diff-row diff-across diff-${pair.across.kind}`}>
        <Sign kind={pair.across.kind} />
        <LineText row={pair.across} />
      </div>
    );
  }
  return (
    <div class="diff-pair" data-change={pair.left?.begins ?? pair.right?.begins}>
      <Side row={pair.left} number={pair.left?.before ?? null} />
      <Side row={pair.right} number={pair.right?.after ?? null} />
    </div>
  );
}

function Side({
  row,
  number,
}: {
  readonly row: DiffRow | null;
  readonly number: number | null;
}): JSX.Element {
  if (row === null) return <div class="diff-side diff-none" />;
  return (
    <div class={`diff-side diff-${row.kind}`}>
      <span class="diff-number">{number}</span>
      <Sign kind={row.kind} />
      <LineText row={row} />
    </div>
  );
}

function Sign({ kind }: { readonly kind: DiffRow["kind"] }): JSX.Element {
  if (kind !== "added" && kind !== "removed") return <span class="diff-sign" />;
  return (
    <span class="diff-sign" role="img" aria-label={t(`content.diff.${kind}`)}>
      {kind === "added" ? "+" : "−"}
    </span>
  );
}

function LineText({ row }: { readonly row: DiffRow }): JSX.Element {
  const [isWhole, showWhole] = useState(false);
  if (row.words === undefined) {
    const isCut = row.text.length > MAX_LINE && !isWhole;
    return (
      <bdi class="diff-text" dir="ltr">
        <Pieces text={isCut ? firstPart(row.text, MAX_LINE).text : row.text} />
        {isCut && <ShowAll characters={row.text.length} lines={1} onShow={() => showWhole(true)} />}
      </bdi>
    );
  }
  const Changed = row.kind === "added" ? "ins" : "del";
  return (
    <bdi class="diff-text" dir="ltr">
      {row.words.map((word, place) =>
        word.isChanged ? (
          <Changed key={place}>
            <Pieces text={word.text} />
          </Changed>
        ) : (
          <Pieces key={place} text={word.text} />
        ),
      )}
    </bdi>
  );
}

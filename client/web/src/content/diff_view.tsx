// The view of a diff, in a chunk of its own with jsdiff. A change is told by its sign and by underlined words, not by
// colour alone.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type DiffSource, readDiff } from "./compare_texts";
import { type DiffRow, type Pair, pairsOf, type Section, sectionsOf } from "./diff_rows";
import { ShowAll } from "./long_text";
import { Pieces } from "./plain";
import { t } from "./say";
import { useGrowing, useSlices } from "./slices";
import { firstPart } from "./text_chunks";

export type DiffLayout = "unified" | "split";

const ROWS_PER_GROUP = 100;
/** A line is shown up to here; a button shows the rest. */
const MAX_LINE = 4_000;
const SIGNS = { added: "+", removed: "-", same: " ", hunk: "", file: "", note: "" } as const;

export function DiffBody(props: {
  readonly source: DiffSource;
  readonly layout: DiffLayout;
  /** What to show where the texts cannot be compared. */
  readonly texts: JSX.Element;
}): JSX.Element {
  const inputs = Object.values(props.source);
  const read = useSlices(() => rowsIn(props.source), inputs);
  const [layout, setLayout] = useState(props.layout);
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
      <Rows key={layout} rows={read.rows} layout={layout} folds={"before" in props.source} />
    </div>
  );
}

/** A result that is never null, as `useSlices` needs it. */
function* rowsIn(source: DiffSource): Generator<void, { readonly rows: readonly DiffRow[] | null }> {
  return { rows: yield* readDiff(source) };
}

function Rows(props: {
  readonly rows: readonly DiffRow[];
  readonly layout: DiffLayout;
  readonly folds: boolean;
}): JSX.Element {
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  const groups = useMemo(() => {
    const sections = props.folds ? sectionsOf(props.rows) : [{ isFold: false, rows: props.rows }];
    return sections.flatMap((section, place) => groupsOf(section, place, opened.has(place)));
  }, [props.rows, props.folds, opened]);
  const shown = useGrowing(groups.length, 1);
  return (
    <div class={`diff-rows diff-${props.layout}`}>
      {groups.slice(0, shown).map(({ section, isFold, rows }, place) => (
        <div key={place} class="diff-group" data-seen>
          {isFold ? (
            <Fold lines={rows.length} onOpen={() => setOpened(new Set(opened).add(section))} />
          ) : props.layout === "split" ? (
            pairsOf(rows).map((pair, line) => <PairView key={line} pair={pair} />)
          ) : (
            rows.map((row, line) => <RowView key={line} row={row} />)
          )}
        </div>
      ))}
      {shown < groups.length && (
        <div data-withheld={(groups.length - shown) * ROWS_PER_GROUP}>
          <span>{t("content.working")}</span>
        </div>
      )}
    </div>
  );
}

interface Group extends Section {
  /** The place of its section. */
  readonly section: number;
}

/** A section in groups of about ROWS_PER_GROUP rows. No group ends within a change, so that pairs stay together. */
function groupsOf(section: Section, place: number, isOpened: boolean): readonly Group[] {
  if (section.isFold && !isOpened) return [{ ...section, section: place }];
  const groups: Group[] = [];
  for (let begin = 0; begin < section.rows.length; ) {
    let end = begin + ROWS_PER_GROUP;
    const most = end + ROWS_PER_GROUP;
    while (end < most && /added|removed/.test(section.rows[end]?.kind ?? "")) end += 1;
    groups.push({ section: place, isFold: false, rows: section.rows.slice(begin, end) });
    begin = end;
  }
  return groups;
}

function Fold({ lines, onOpen }: { readonly lines: number; readonly onOpen: () => void }): JSX.Element {
  return (
    <div>
      <span>
        <button type="button" class="fold" onClick={onOpen}>
          {t("content.diff.fold", { n: lines })}
        </button>
      </span>
    </div>
  );
}

function RowView({ row }: { readonly row: DiffRow }): JSX.Element {
  return (
    <div class={`diff-row diff-${row.kind}`}>
      <LineNumber value={row.before} />
      <LineNumber value={row.after} />
      <Sign kind={row.kind} />
      <Line row={row} />
    </div>
  );
}

function PairView({ pair }: { readonly pair: Pair }): JSX.Element {
  if ("across" in pair) {
    return (
      <div class={`diff-row diff-across diff-${pair.across.kind}`}>
        <Sign kind={pair.across.kind} />
        <Line row={pair.across} />
      </div>
    );
  }
  return (
    <div class="diff-pair">
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
  return (
    <div class={`diff-side diff-${row?.kind ?? "none"}`}>
      {row !== null && (
        <>
          <span class="diff-number">{number}</span>
          <SignText kind={row.kind} />
          <LineText row={row} />
        </>
      )}
    </div>
  );
}

function LineNumber({ value }: { readonly value: number | null }): JSX.Element {
  return <span class="diff-number">{value}</span>;
}

function Sign({ kind }: { readonly kind: DiffRow["kind"] }): JSX.Element {
  return (
    <span>
      <SignText kind={kind} />
    </span>
  );
}

function SignText({ kind }: { readonly kind: DiffRow["kind"] }): JSX.Element {
  return (
    <span class="diff-sign">
      <span aria-hidden="true">{SIGNS[kind]}</span>
      {(kind === "added" || kind === "removed") && (
        <span class="visually-hidden">{t(`content.diff.${kind}`)}</span>
      )}
    </span>
  );
}

function Line({ row }: { readonly row: DiffRow }): JSX.Element {
  return (
    <span class="diff-cell">
      <LineText row={row} />
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

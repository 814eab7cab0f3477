import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { t } from "../words/later";
import { Code } from "./code";
import { OutLink } from "./link";
import { LongText } from "./long_text";
import { type Block, type Inline, type ListItem, type MarkdownTree, readMarkdown } from "./markdown_tree";
import { Pieces } from "./plain";
import { useGrowing, useSlices } from "./slices";

/** Number of top-level blocks that each task adds. */
const BLOCKS_PER_TASK = 40;
/** Level of the first heading of a text: h1 and h2 belong to the page. */
const FIRST_LEVEL = 3;
const LAST_LEVEL = 6;

/** Shows Markdown as elements. A text beyond the limits is shown as plain text, with a note. */
export function Markdown({ text }: { readonly text: string }): JSX.Element {
  const tree = useSlices<MarkdownTree>(() => readMarkdown(text), [text]);
  if (tree === null) return <LongText text={text} />;
  if ("blocks" in tree) return <Blocks blocks={tree.blocks} />;
  return (
    <div class="markdown">
      <p class="note">{t(`content.refused.${tree.refusal}`)}</p>
      <LongText text={text} />
    </div>
  );
}

function Blocks({ blocks }: { readonly blocks: readonly Block[] }): JSX.Element {
  const shown = useGrowing(blocks.length, BLOCKS_PER_TASK);
  const elements = useMemo(
    () =>
      blocks.map((block, place) => (
        <div key={place} class="block" data-seen>
          <BlockView block={block} />
        </div>
      )),
    [blocks],
  );
  return (
    <div class="markdown">
      {elements.slice(0, shown)}
      {shown < blocks.length && <p data-withheld={blocks.length - shown}>{t("content.working")}</p>}
    </div>
  );
}

function BlockView({ block }: { readonly block: Block }): JSX.Element {
  switch (block.kind) {
    case "paragraph":
      return (
        <p dir="auto">
          <Inlines inlines={block.children} />
        </p>
      );
    case "heading": {
      const Heading = `h${Math.min(block.depth + FIRST_LEVEL - 1, LAST_LEVEL)}` as "h3" | "h4" | "h5" | "h6";
      return (
        <Heading dir="auto">
          <Inlines inlines={block.children} />
        </Heading>
      );
    }
    case "code":
      return <Code text={block.text} language={block.language} />;
    case "quote":
      return <blockquote>{views(block.blocks)}</blockquote>;
    case "list":
      return <ListView start={block.start} items={block.items} />;
    case "table":
      return <TableView table={block} />;
    case "rule":
      return <hr />;
  }
}

function views(blocks: readonly Block[]): JSX.Element[] {
  return blocks.map((block, place) => <BlockView key={place} block={block} />);
}

function ListView(props: {
  readonly start: number | null;
  readonly items: readonly ListItem[];
}): JSX.Element {
  const items = props.items.map((item, place) => (
    <li key={place} class={item.checked === undefined ? undefined : "task"}>
      {item.checked !== undefined && <TaskMark done={item.checked} />}
      {views(item.blocks)}
    </li>
  ));
  return props.start === null ? <ul>{items}</ul> : <ol start={props.start}>{items}</ol>;
}

/** Not a checkbox: the person cannot change it. */
function TaskMark({ done }: { readonly done: boolean }): JSX.Element {
  return (
    <span class="task-mark" role="img" aria-label={t(done ? "content.task.done" : "content.task.open")}>
      {done ? "☑ " : "☐ "}
    </span>
  );
}

function TableView({ table }: { readonly table: Extract<Block, { kind: "table" }> }): JSX.Element {
  const align = (column: number) => `align-${table.align[column] ?? "start"}`;
  return (
    <table>
      <thead>
        <tr>
          {table.header.map((cell, column) => (
            <th key={column} scope="col" dir="auto" class={align(column)}>
              <Inlines inlines={cell} />
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {table.rows.map((row, place) => (
          <tr key={place}>
            {row.map((cell, column) => (
              <td key={column} dir="auto" class={align(column)}>
                <Inlines inlines={cell} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Inlines({ inlines }: { readonly inlines: readonly Inline[] }): JSX.Element {
  return (
    <>
      {inlines.map((inline, place) => (
        <InlineView key={place} inline={inline} />
      ))}
    </>
  );
}

function InlineView({ inline }: { readonly inline: Inline }): JSX.Element {
  switch (inline.kind) {
    case "text":
      return <Pieces text={inline.text} />;
    case "code":
      return (
        <code dir="ltr">
          <Pieces text={inline.text} />
        </code>
      );
    case "break":
      return <br />;
    case "strong":
      return <strong>{<Inlines inlines={inline.children} />}</strong>;
    case "emphasis":
      return <em>{<Inlines inlines={inline.children} />}</em>;
    case "deleted":
      return <del>{<Inlines inlines={inline.children} />}</del>;
    case "link":
    case "image":
      return (
        <OutLink link={inline.link} title={inline.title}>
          {inline.kind === "image" && `${t("content.image")}: `}
          <Inlines inlines={inline.children} />
        </OutLink>
      );
  }
}

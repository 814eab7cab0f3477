import type { JSX } from "preact";
import type { PromptPart } from "../wire/messages";
import { Code } from "./code";
import { UnifiedDiff } from "./diff";
import type { DiffLayout } from "./diff_view";
import { JsonTree } from "./json_tree";
import { OutLink } from "./link";
import { webLink } from "./links";
import { LongText } from "./long_text";
import { Markdown } from "./markdown";
import { type PartView as Kind, viewOf } from "./media_types";
import { Plain } from "./plain";
import { t } from "./say";

/** Shows a part of a prompt: its text in the view for its media type, or a link to its file. */
export function PartView(props: { readonly part: PromptPart; readonly layout?: DiffLayout }): JSX.Element {
  const { part } = props;
  const view = viewOf(part.mediaType ?? "");
  if (part.url !== undefined) return <FileLink url={part.url} isImage={view.kind === "image"} />;
  return <TextView text={part.text ?? ""} view={view} layout={props.layout ?? "unified"} />;
}

function TextView(props: {
  readonly text: string;
  readonly view: Kind;
  readonly layout: DiffLayout;
}): JSX.Element {
  switch (props.view.kind) {
    case "markdown":
      return <Markdown text={props.text} />;
    case "diff":
      return <UnifiedDiff text={props.text} layout={props.layout} />;
    case "json":
      return <JsonTree text={props.text} />;
    case "code":
      return <Code text={props.text} language={props.view.language} />;
    case "image":
    case "text":
      return <LongText text={props.text} />;
  }
}

/** A link, because the page must not fetch the file: its server would learn who reads the prompt. */
function FileLink({ url, isImage }: { readonly url: string; readonly isImage: boolean }): JSX.Element {
  const link = webLink(url);
  if (link === null) {
    return (
      <p data-seen>
        {t("content.no_link")} <Plain text={url} />
      </p>
    );
  }
  return (
    <p data-seen>
      <OutLink link={link}>
        {t(isImage ? "content.image" : "content.file")}: <Plain text={url} />
      </OutLink>
    </p>
  );
}

import type { JSX } from "preact";
import { t } from "../words/later";
import type { PromptPart } from "../wire/messages";
import { Code } from "./code";
import { UnifiedDiff } from "./diff";
import { JsonTree } from "./json_tree";
import { OutLink } from "./link";
import { webLink } from "./links";
import { LongText } from "./long_text";
import { Markdown } from "./markdown";
import { type PartView as Kind, viewOf } from "./media_types";
import { Plain } from "./plain";

/** Shows a part of a prompt: its text in the view for its media type, or a link to its file. */
export function PartView({ part }: { readonly part: PromptPart }): JSX.Element {
  const view = viewOf(part.mediaType ?? "");
  if (part.url !== undefined) return <FileLink url={part.url} isImage={view.kind === "image"} />;
  return <TextView text={part.text ?? ""} view={view} />;
}

function TextView({ text, view }: { readonly text: string; readonly view: Kind }): JSX.Element {
  switch (view.kind) {
    case "markdown":
      return <Markdown text={text} />;
    case "diff":
      return <UnifiedDiff text={text} />;
    case "json":
      return <JsonTree text={text} />;
    case "code":
      return <Code text={text} language={view.language} />;
    case "image":
    case "text":
      return <LongText text={text} />;
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

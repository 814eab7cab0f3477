import type { JSX } from "preact";
import { t } from "../words";
import type { DiffSource } from "./compare_texts";
import type { DiffLayout } from "./diff_view";
import { LongText } from "./long_text";
import { useLazy } from "./slices";

const load = () => import("./diff_view");

/** Two texts, and what changed between them. */
export function DiffView(props: {
  readonly before: string;
  readonly after: string;
  readonly layout?: DiffLayout;
}): JSX.Element {
  const { before, after, layout = "unified" } = props;
  return <LazyDiff source={{ before, after }} layout={layout} />;
}

/** A diff as a program wrote it (`text/x-diff`). */
export function UnifiedDiff(props: { readonly text: string; readonly layout?: DiffLayout }): JSX.Element {
  return <LazyDiff source={{ diff: props.text }} layout={props.layout ?? "unified"} />;
}

function LazyDiff(props: { readonly source: DiffSource; readonly layout: DiffLayout }): JSX.Element {
  const module = useLazy(load);
  if (module === null) return <p data-withheld={1}>{t("content.working")}</p>;
  if (module === "failed") {
    return (
      <div class="diff">
        <p class="note">{t("content.not_loaded")}</p>
        <WholeTexts source={props.source} />
      </div>
    );
  }
  return (
    <module.DiffBody
      source={props.source}
      layout={props.layout}
      texts={<WholeTexts source={props.source} />}
    />
  );
}

/** Both texts whole, where they cannot be compared; or the diff as it is. */
function WholeTexts({ source }: { readonly source: DiffSource }): JSX.Element {
  if ("diff" in source) return <LongText text={source.diff} code />;
  return (
    <div class="both-texts">
      <section>
        <h4>{t("content.diff.before")}</h4>
        <LongText text={source.before} code />
      </section>
      <section>
        <h4>{t("content.diff.after")}</h4>
        <LongText text={source.after} code />
      </section>
    </div>
  );
}

import type { JSX } from "preact";
import type { DiffSource } from "./compare_texts";
import type { DiffLayout } from "./diff_view";
import { LongText } from "./long_text";
import { t } from "./say";
import { useLazy } from "./slices";

const load = () => import("./diff_view");

/** Shows the difference between two texts. */
export function DiffView(props: {
  readonly before: string;
  readonly after: string;
  readonly layout?: DiffLayout;
}): JSX.Element {
  const { before, after, layout = "unified" } = props;
  return <LazyDiff source={{ before, after }} layout={layout} />;
}

/** Shows a unified diff (`text/x-diff`). */
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

/** Shows both texts, or the source of a unified diff, without comparing. */
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

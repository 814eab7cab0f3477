import type { JSX } from "preact";
import { t } from "../words/later";
import type { DiffSource } from "./compare_texts";
import { LongText } from "./long_text";
import { useLazy } from "./slices";

const load = () => import("./diff_view");

/** Shows the difference between two texts. */
export function DiffView({
  before,
  after,
}: {
  readonly before: string;
  readonly after: string;
}): JSX.Element {
  return <LazyDiff source={{ before, after }} />;
}

/** Shows a unified diff (`text/x-diff`). */
export function UnifiedDiff({ text }: { readonly text: string }): JSX.Element {
  return <LazyDiff source={{ diff: text }} />;
}

function LazyDiff({ source }: { readonly source: DiffSource }): JSX.Element {
  const module = useLazy(load);
  if (module === null) return <p data-withheld={1}>{t("content.working")}</p>;
  if (module === "failed") {
    return (
      <div class="diff">
        <p class="note">{t("content.not_loaded")}</p>
        <WholeTexts source={source} />
      </div>
    );
  }
  return <module.DiffBody source={source} texts={<WholeTexts source={source} />} />;
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

// What a rule would have done with the last prompts, against what people did.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { Plain } from "../../content";
import type { PreviewRuleResponse, RuleLint, RuleSample, RuleSpec } from "../../wire/messages";
import type { LaterKey } from "../../words";
import { rich, t } from "../../words/later";
import { usePage } from "../page";
import { instant } from "../prompt_facts";
import { formatRoute, route } from "../route";
import { Icon, Name, Time } from "../ui";
import { RuleFailure } from "./rule_failure";
import { RuleRefs } from "./rule_ref";
import { DID, WOULD } from "./rule_words";

/** How many of the last prompts are looked at. */
const PROMPTS = 1000;

const LINTS: { readonly [lint in RuleLint]?: LaterKey } = {
  RULE_LINT_NEVER_MATCHES: "preview.lint.never",
  RULE_LINT_SHADOWED: "preview.lint.shadowed",
  RULE_LINT_REDUNDANT: "preview.lint.redundant",
};

interface PreviewProps {
  readonly namespace: string;
  /** The rule, as it would be saved. */
  readonly spec: RuleSpec;
  /** Called when something new is there to see. */
  readonly onShown?: () => void;
}

/** Reads the preview of a rule; for another rule, give it another key. */
export function Preview({ namespace, spec, onShown }: PreviewProps) {
  const { inbox } = usePage();
  const found = useSignal<PreviewRuleResponse | null>(null);
  const error = useSignal<unknown>(null);
  useEffect(() => {
    // A preview needs no reason yet, but the service does.
    const asked = { ...spec, reason: (spec.reason ?? "").trim() || "preview" };
    inbox.call("PolicyService/PreviewRule", { namespace, spec: asked, prompts: PROMPTS }).then(
      (reply) => {
        found.value = reply;
      },
      (problem: unknown) => {
        error.value = problem;
      },
    );
  }, []);
  const reply = found.value;
  useLayoutEffect(() => onShown?.(), [reply, error.value]);
  return (
    <section class="bulk" aria-label={t("preview.title")}>
      <div role="status">
        {error.value !== null ? (
          <RuleFailure error={error.value} what={t("preview.failed")} />
        ) : reply === null ? (
          <p>{t("preview.loading")}</p>
        ) : (
          <p>
            {t("preview.looked", { n: reply.prompts ?? 0 })}{" "}
            {t("preview.conflicts", { n: conflictCount(reply) })}
          </p>
        )}
      </div>
      {reply === null ? null : <Found reply={reply} />}
    </section>
  );
}

/** How many prompts it would have accepted and people rejected: the list of them may be cut. */
export function conflictCount({ cells = [] }: PreviewRuleResponse): number {
  return cells
    .filter((one) => one.rule === "RULE_VERDICT_ANSWER" && one.people === "PEOPLE_VERDICT_REJECT")
    .reduce((sum, one) => sum + (one.count ?? 0), 0);
}

function Found({ reply }: { readonly reply: PreviewRuleResponse }) {
  const { cells = [], conflicts = [], findings = [] } = reply;
  const rows = WOULD.filter(([verdict]) => cells.some((one) => one.rule === verdict));
  const columns = DID.filter(([verdict]) => cells.some((one) => one.people === verdict));
  return (
    <>
      {findings.map(({ lint = "RULE_LINT_UNSPECIFIED", rules = [] }) => (
        <p key={lint} class="status-text is-alert">
          <Icon name="alert" />
          <span>
            {rich(LINTS[lint] ?? "preview.lint.other", { rules: <RuleRefs refs={rules} isPlain /> })}
          </span>
        </p>
      ))}
      {rows.length === 0 ? null : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what can be scrolled must be reached by keys
        <section class="table-scroll" tabIndex={0} aria-label={t("preview.table")}>
          <table>
            <caption class="visually-hidden">{t("preview.table")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("preview.corner")}</th>
                {columns.map(([verdict, key]) => (
                  <th key={verdict} scope="col">
                    {t(key)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(([rule, key]) => (
                <tr key={rule} data-would={rule}>
                  <th scope="row">{t(key)}</th>
                  {columns.map(([people]) => (
                    <td key={people}>
                      {cells.find((one) => one.rule === rule && one.people === people)?.count ?? 0}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {conflicts.length === 0 ? null : (
        <>
          <p>
            <strong>{t("preview.conflicts.title")}</strong>
          </p>
          <Samples samples={conflicts} />
        </>
      )}
    </>
  );
}

/** Prompts of the past, each in a tab of its own: what is being written stays. */
export function Samples({ samples }: { readonly samples: readonly RuleSample[] }) {
  const { inbox } = usePage();
  return (
    <ul class="rounds">
      {samples.map(({ promptId = "", title = "", userId = "", people, createTime }) => {
        const at = instant(createTime);
        const did = DID.find(([verdict]) => verdict === people)?.[1];
        return (
          <li key={promptId} data-sample={promptId}>
            <a
              href={formatRoute({ view: "prompt", promptId }, route.peek().query)}
              target="_blank"
              rel="noopener"
            >
              <Plain text={title} />
            </a>{" "}
            {rich(userId === "" ? "preview.sample.none" : "preview.sample", {
              did: did === undefined ? "" : t(did),
              name: <Name text={userId} />,
              time: at === undefined ? "" : <Time at={at} now={inbox.now()} />,
            })}
          </li>
        );
      })}
    </ul>
  );
}

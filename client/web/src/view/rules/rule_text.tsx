// What a rule says: for which prompts it is, and what it does with them. Nothing of it is left out.

import type { ComponentChildren } from "preact";
import { Plain } from "../../content";
import type { RuleExample, RuleSpec } from "../../wire/messages";
import { t } from "../../words/later";
import { kindWords } from "../labels";
import { oneLine } from "../one_line";
import { Name } from "../ui";
import { routeTexts, thenText, typeName } from "./rule_words";

interface RuleTextProps {
  readonly spec: RuleSpec;
  /** Its decision as a button named it. Undefined: by its verb. */
  readonly done?: string | undefined;
}

export function RuleText({ spec, done }: RuleTextProps) {
  const { jobTypes = [], kinds = [], labels = {}, expression = "" } = spec.match ?? {};
  const listed = Object.entries(labels).map(([name, value]) => `${name}: ${value}`);
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    [t("rules.types"), names(jobTypes.map(typeName))],
    [t("rules.kinds"), names(kinds.map(kindWords))],
    [t("rules.labels"), names(listed)],
    [t("rules.condition"), code(expression)],
    [t("rules.unless"), code(spec.unless)],
    [t("rules.then"), <Then key="then" spec={spec} done={done} />],
  ];
  return (
    <dl class="person">
      {facts
        .filter(([, value]) => value !== null)
        .map(([title, value]) => [<dt key={title}>{title}</dt>, <dd key={`${title} is`}>{value}</dd>])}
    </dl>
  );
}

function names(texts: readonly string[]): ComponentChildren {
  return texts.length === 0 ? null : <Name text={texts.join(", ")} />;
}

function code(text = ""): ComponentChildren {
  return text.trim() === "" ? null : (
    <pre class="values">
      <Plain text={text.trim()} />
    </pre>
  );
}

function Then({ spec, done }: RuleTextProps) {
  const comment = (spec.answer?.comment ?? "") || (spec.refuse?.comment ?? "");
  const values = spec.answer?.valuesJson ?? "";
  return (
    <>
      {spec.route === undefined ? (
        <strong>
          <Name text={thenText(spec, done)} />
        </strong>
      ) : (
        <ul>
          {routeTexts(spec.route).map((text) => (
            <li key={text}>
              <Name text={text} />
            </li>
          ))}
        </ul>
      )}
      {values === "" ? null : code(values)}
      {comment === "" ? null : (
        <blockquote>
          <Plain text={comment} />
        </blockquote>
      )}
    </>
  );
}

interface ExamplesProps {
  readonly title: string;
  readonly examples: readonly RuleExample[] | undefined;
}

/** Prompts that the rule must match, or must not. */
export function Examples({ title, examples = [] }: ExamplesProps) {
  return (
    <details class="section">
      <summary>
        {title} ({examples.length})
      </summary>
      <ul class="rounds">
        {examples.map((one) => {
          const { kind, labels = {}, metadataJson = "" } = one.content ?? {};
          const parts = [
            kindWords(kind),
            typeName(one.jobType ?? ""),
            ...Object.entries(labels).map(([name, value]) => `${name}: ${value}`),
          ];
          return (
            <li key={JSON.stringify(one)}>
              <strong>
                <Name text={oneLine(one.content?.title ?? "", 200)} />
              </strong>
              <p>
                <Name text={parts.join(" · ")} />
              </p>
              {metadataJson === "" ? null : code(metadataJson)}
            </li>
          );
        })}
      </ul>
    </details>
  );
}

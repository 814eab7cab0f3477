/** One or several of some choices. All are shown in full, whatever their number and length. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Plain } from "../content";
import { labelOf, plain } from "./check";
import type { Choice } from "./entries";
import { Fieldset, useProblems, useWords } from "./frame";
import type { ChoiceNode, MultiNode } from "./leaf_nodes";

/** With more choices than these there is a box to find one. */
const MAX_UNFILTERED = 12;

export function ChoiceView({ node }: { readonly node: ChoiceNode }): JSX.Element {
  node.tick.value;
  const words = useWords();
  const problems = useProblems(node);
  const { allowOther, required, nullable } = node.entry;
  const radio = (checked: boolean, onChange: () => void) => ({
    type: "radio" as const,
    name: node.id,
    checked,
    onChange,
  });
  return (
    <Fieldset node={node} problems={problems} role="radiogroup">
      <Filtered choices={node.choices} isChosen={(choice) => node.isChosen(choice)} id={node.id}>
        {(choice) => (
          <Option choice={choice} input={radio(node.isChosen(choice), () => node.choose(choice))} />
        )}
      </Filtered>
      {allowOther && (
        <div class="form-other">
          <label class="form-option">
            <input {...radio(node.chosen === "other", () => node.choose("other"))} />
            <span>{words.other}</span>
          </label>
          <input
            type="text"
            autocomplete="off"
            dir="auto"
            aria-label={`${node.entry.title}: ${words.other}`}
            defaultValue={node.other}
            onInput={({ currentTarget: { value } }) => node.typeOther(value)}
            onBlur={() => {
              if (node.chosen === "other") node.visited.value = true;
            }}
          />
        </div>
      )}
      {(!required || nullable) && (
        <label class="form-option">
          <input {...radio(node.chosen === undefined, () => node.choose(undefined))} />
          <span>{words.noAnswer}</span>
        </label>
      )}
    </Fieldset>
  );
}

export function MultiView({ node }: { readonly node: MultiNode }): JSX.Element {
  node.tick.value;
  const words = useWords();
  const problems = useProblems(node);
  const { choices, allowOther } = node.entry;
  return (
    <Fieldset node={node} problems={problems}>
      <Filtered choices={choices} isChosen={(choice) => node.isChosen(choice)} id={node.id}>
        {(choice) => (
          <Option
            choice={choice}
            input={{
              type: "checkbox",
              checked: node.isChosen(choice),
              onChange: ({ currentTarget }) => {
                node.visited.value = true;
                node.choose(choice, currentTarget.checked);
              },
            }}
          />
        )}
      </Filtered>
      {allowOther && (
        <div class="form-other">
          <label for={`${node.id}-other`}>{words.otherLines}</label>
          <textarea
            id={`${node.id}-other`}
            rows={2}
            autocomplete="off"
            dir="auto"
            defaultValue={node.other}
            onInput={({ currentTarget: { value } }) => node.typeOther(value)}
          />
        </div>
      )}
    </Fieldset>
  );
}

function Option(props: {
  readonly choice: Choice;
  readonly input: JSX.IntrinsicElements["input"];
}): JSX.Element {
  const words = useWords();
  const { description, recommended } = props.choice;
  return (
    <label class="form-option">
      <input {...props.input} />
      <span>
        <Plain text={labelOf(props.choice)} />
        {recommended && <strong> ({words.recommended})</strong>}
        {description && (
          <span class="form-description">
            <Plain text={description} />
          </span>
        )}
      </span>
    </label>
  );
}

function Filtered(props: {
  readonly choices: readonly Choice[];
  readonly isChosen: (choice: Choice) => boolean;
  readonly id: string;
  readonly children: (choice: Choice) => JSX.Element;
}): JSX.Element {
  const words = useWords();
  const { choices, isChosen, children } = props;
  const [wanted, setWanted] = useState("");
  const text = wanted.trim().toLowerCase();
  const shown = choices.filter(
    (choice) =>
      isChosen(choice) ||
      [choice.title, plain(choice.value)].some((name) => name.toLowerCase().includes(text)),
  );
  const id = `${props.id}-filter`;
  return (
    <>
      {choices.length > MAX_UNFILTERED && (
        <div class="form-filter">
          <label for={id}>{words.filter(choices.length)}</label>
          <input
            id={id}
            type="text"
            autocomplete="off"
            defaultValue=""
            onInput={({ currentTarget: { value } }) => setWanted(value)}
          />
          {text && <span>{words.filterShows(shown.length, choices.length)}</span>}
        </div>
      )}
      {shown.map((choice) => (
        <div key={plain(choice.value)}>{children(choice)}</div>
      ))}
    </>
  );
}

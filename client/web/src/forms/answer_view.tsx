/** The values of an answer, by the titles of its form, without controls. */

import type { ComponentChildren, JSX } from "preact";
import { Plain } from "../content";
import { format, isArray, type Json } from "../json/exact";
import { equal, labelOf, plain } from "./check";
import { CompositeNode } from "./composite_node";
import type { Choice } from "./entries";
import type { Form } from "./form";
import { GroupNode } from "./group_node";
import { ItemsNode } from "./items_node";
import { ChoiceNode, MultiNode, TextNode } from "./leaf_nodes";
import type { Node } from "./node";
import { VariantsNode } from "./variants_node";
import type { FormWords } from "./words";

/** Shown in place of a secret. */
const MASK = "••••••";

export function AnswerView({ form }: { readonly form: Form }): JSX.Element | null {
  const { root, words } = form;
  if (!root) return null;
  return (
    <div class="form form-answer">
      <Value node={root} words={words} />
    </div>
  );
}

function Fields({ node, words }: { readonly node: GroupNode; readonly words: FormWords }): JSX.Element {
  return (
    <dl>
      {node.children().map((child) => (
        <Entry key={child.id} title={child.entry.title}>
          <Value node={child} words={words} />
        </Entry>
      ))}
      {[...node.further].map(([name, value]) => (
        <Entry key={name} title={name}>
          <JsonText text={format(value, 2)} words={words} />
        </Entry>
      ))}
    </dl>
  );
}

function Entry({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div>
      <dt>
        <Plain text={title} />
      </dt>
      <dd>{children}</dd>
    </div>
  );
}

/** What is not finished, in a prompt that closed meanwhile, is shown as it was typed. */
function Value({ node, words }: { readonly node: Node; readonly words: FormWords }): JSX.Element {
  if (node.entry.type === "field" && node.entry.secret) {
    return (
      <span>
        {MASK} ({words.hidden})
      </span>
    );
  }
  const { value } = node.read();
  if (value === null) return <span class="form-hint">{words.none}</span>;
  if (node instanceof CompositeNode) return <Composite node={node} words={words} />;
  if (node instanceof TextNode && node.entry.kind === "json")
    return <JsonText text={node.text} words={words} />;
  if (node instanceof MultiNode) {
    const labels = isArray(value) ? value.map((item) => chosenLabel(node.entry.choices, item)) : [];
    return labels.length ? <Labels labels={labels} /> : <Absent text={node.other} words={words} />;
  }
  if (value === undefined) {
    const typed = node instanceof TextNode ? node.text : node instanceof ChoiceNode ? node.other : "";
    return <Absent text={typed} words={words} />;
  }
  const shown = node instanceof ChoiceNode ? chosenLabel(node.choices, value) : plain(value);
  return (
    <span class="form-text">
      <Plain text={shown || words.empty} />
    </span>
  );
}

function Absent({ text, words }: { readonly text: string; readonly words: FormWords }): JSX.Element {
  if (!text.trim()) return <span class="form-hint">{words.noAnswer}</span>;
  return (
    <span class="form-text">
      <Plain text={text} />
    </span>
  );
}

function Labels({ labels }: { readonly labels: readonly string[] }): JSX.Element {
  return (
    <ul>
      {labels.map((label) => (
        <li key={label}>
          <Plain text={label} />
        </li>
      ))}
    </ul>
  );
}

function Composite({
  node,
  words,
}: {
  readonly node: CompositeNode;
  readonly words: FormWords;
}): JSX.Element {
  if (node.json) return <JsonText text={node.json.text} words={words} />;
  if (node instanceof GroupNode && node.open) return <Fields node={node} words={words} />;
  if (node instanceof ItemsNode && (node.items.length || node.read().value !== undefined)) {
    return <AllItems node={node} words={words} />;
  }
  if (node instanceof VariantsNode && node.node) {
    return (
      <>
        <p>
          <Plain text={node.node.entry.title} />
        </p>
        <Value node={node.node} words={words} />
      </>
    );
  }
  return <Absent text="" words={words} />;
}

function AllItems({ node, words }: { readonly node: ItemsNode; readonly words: FormWords }): JSX.Element {
  if (!node.items.length) return <span>{words.none}</span>;
  return (
    <ol>
      {node.items.map((item) => (
        <li key={item.node.id}>
          {node.entry.keyed && (
            <strong>
              <Plain text={item.name} />{" "}
            </strong>
          )}
          <Value node={item.node} words={words} />
        </li>
      ))}
    </ol>
  );
}

function chosenLabel(choices: readonly Choice[], value: Json): string {
  const chosen = choices.find((choice) => equal(choice.value, value));
  return chosen ? labelOf(chosen) : plain(value);
}

function JsonText({ text, words }: { readonly text: string; readonly words: FormWords }): JSX.Element {
  if (!text.trim()) return <Absent text="" words={words} />;
  return (
    <pre class="form-json">
      <Plain text={text} />
    </pre>
  );
}

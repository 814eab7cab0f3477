/** The values of an answer, by the titles of its form, without controls. */

import type { ComponentChildren, JSX } from "preact";
import { Plain } from "../content";
import { format, isObject, type Json } from "../json/exact";
import { equal, plain } from "./check";
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
  const isGroup = root instanceof GroupNode && !root.json;
  return (
    <div class="form form-answer">
      {isGroup ? <Fields node={root} words={words} /> : <Value node={root} words={words} />}
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
          <JsonText value={value} />
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

function Value({ node, words }: { readonly node: Node; readonly words: FormWords }): JSX.Element {
  const { value } = node.read();
  if (value === undefined || value === null) {
    return <span class="form-hint">{value === null ? words.none : words.noAnswer}</span>;
  }
  if (node.entry.type === "field" && node.entry.secret) {
    return (
      <span>
        {MASK} ({words.hidden})
      </span>
    );
  }
  if (node instanceof ChoiceNode) return <Plain text={labelOf(node.choices, value)} />;
  if (node instanceof MultiNode && Array.isArray(value)) {
    return (
      <ul>
        {value.map((item: Json) => (
          <li key={plain(item)}>
            <Plain text={labelOf(node.entry.choices, item)} />
          </li>
        ))}
        {!value.length && <li>{words.none}</li>}
      </ul>
    );
  }
  if (node instanceof TextNode && typeof value === "string") {
    return (
      <span class="form-text">
        <Plain text={value || words.empty} />
      </span>
    );
  }
  if (node instanceof GroupNode && !node.json) return <Fields node={node} words={words} />;
  if (node instanceof VariantsNode && !node.json && node.node) {
    return (
      <>
        <p>
          <Plain text={node.node.entry.title} />
        </p>
        <Value node={node.node} words={words} />
      </>
    );
  }
  if (node instanceof ItemsNode && !node.json) return <AllItems node={node} words={words} />;
  return <JsonText value={value} />;
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

function labelOf(choices: ChoiceNode["choices"], value: Json): string {
  return choices.find((choice) => equal(choice.value, value))?.title || plain(value);
}

function JsonText({ value }: { readonly value: Json }): JSX.Element {
  const isShort = !isObject(value) && !Array.isArray(value);
  return (
    <pre class="form-json">
      <Plain text={format(value, isShort ? 0 : 2)} />
    </pre>
  );
}

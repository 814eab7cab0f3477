/** What stands around each control: title, help, hint, what will be sent, what is wrong. */

import { type ComponentChildren, createContext, type JSX } from "preact";
import { useContext } from "preact/hooks";
import { Markdown, Plain } from "../content";
import { plain } from "./check";
import type { Form } from "./form";
import { hintOf } from "./hints";
import type { Node } from "./node";
import type { FormWords } from "./words";

export const FormContext = createContext<Form | undefined>(undefined);

function useForm(): Form {
  const form = useContext(FormContext);
  if (!form) throw new Error("a field is shown outside of a form");
  return form;
}

export function useWords(): FormWords {
  return useForm().words;
}

/** What is wrong with the node itself, once the person has been there or has tried to send. */
export function useProblems(node: Node, now = false): readonly string[] {
  const form = useForm();
  const refusals = node.refusals.value;
  if (!now && !node.visited.value && !form.revealed.value) return refusals;
  const own = node.read().problems.filter((problem) => problem.node === node);
  return [...own.map(({ message }) => message), ...refusals];
}

/** The ids of the texts that belong to a control, for `aria-describedby`. */
export function describedBy(
  node: Node,
  words: FormWords,
  ...more: (string | false | undefined)[]
): string | undefined {
  const { help, rationale } = node.entry;
  const ids = [
    node.hasDefault && "default",
    help && "help",
    rationale && "why",
    hintOf(node.entry, words) && "hint",
    ...more,
  ];
  return (
    ids
      .filter(Boolean)
      .map((id) => `${node.id}-${id}`)
      .join(" ") || undefined
  );
}

/** A title for a node in place of its own: an item of a list has its number. */
export const TitleContext = createContext<{ readonly node: Node; readonly title: string } | undefined>(
  undefined,
);

export function Title({ node }: { readonly node: Node }): JSX.Element {
  const words = useWords();
  const { required, nullable } = node.entry;
  const other = useContext(TitleContext);
  return (
    <>
      <Plain text={other?.node === node ? other.title : node.entry.title} />
      {required && !nullable && <span class="form-required"> ({words.required})</span>}
    </>
  );
}

/** Says that the value is the asker's. It is no part of the name, which would change with the first letter. */
export function DefaultMark({ node }: { readonly node: Node }): JSX.Element | null {
  const words = useWords();
  if (!node.hasDefault) return null;
  return (
    <span class="form-default" id={`${node.id}-default`}>
      {" "}
      ({words.byDefault})
    </span>
  );
}

export function Notes({ node }: { readonly node: Node }): JSX.Element {
  const words = useWords();
  const { help, rationale } = node.entry;
  const hint = hintOf(node.entry, words);
  return (
    <>
      {help && (
        <div class="form-help" id={`${node.id}-help`}>
          <Markdown text={help} />
        </div>
      )}
      {rationale && (
        <p class="form-why" id={`${node.id}-why`}>
          {words.why} <Plain text={rationale} />
        </p>
      )}
      {hint && (
        <p class="form-hint" id={`${node.id}-hint`}>
          <Plain text={hint} />
        </p>
      )}
      {node.entry.type === "field" && node.entry.pattern && (
        <details class="form-hint">
          <summary>{words.pattern}</summary>
          <code>
            <Plain text={node.entry.pattern} />
          </code>
        </details>
      )}
    </>
  );
}

export function Problems({
  node,
  problems,
}: {
  readonly node: Node;
  readonly problems: readonly string[];
}): JSX.Element | null {
  if (!problems.length) return null;
  return (
    <p class="form-problem" id={`${node.id}-problem`}>
      <span aria-hidden="true">! </span>
      <Plain text={problems.join("; ")} />
    </p>
  );
}

/** The value as it will be sent, where that differs from what was typed. */
export function ReadBack({
  node,
  typed,
}: {
  readonly node: Node;
  readonly typed: string;
}): JSX.Element | null {
  const words = useWords();
  const { value } = node.read();
  if (value === undefined || value === null || value === "" || plain(value) === typed) return null;
  return (
    <p class="form-read-back" id={`${node.id}-sent`}>
      {words.willBeSent} <Plain text={plain(value)} />
    </p>
  );
}

/** A control with a label of its own. */
export function Labelled(props: { readonly node: Node; readonly children: ComponentChildren }): JSX.Element {
  const { node, children } = props;
  return (
    <div class="form-field" data-seen>
      <p class="form-head">
        <label for={node.id}>
          <Title node={node} />
        </label>
        <DefaultMark node={node} />
      </p>
      <Notes node={node} />
      {children}
    </div>
  );
}

/** A labelled group of controls. It can have the focus itself, so that what is wrong with it is read. */
export function Fieldset(props: {
  readonly node: Node;
  readonly problems: readonly string[];
  readonly role?: "radiogroup" | "group";
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { node, problems, role = "group" } = props;
  const words = useWords();
  const radios = role === "radiogroup" && {
    "aria-required": node.entry.required && !node.entry.nullable,
    "aria-invalid": problems.length > 0,
  };
  return (
    <fieldset
      id={node.id}
      class={`form-field ${props.class ?? ""}`}
      role={role}
      tabIndex={-1}
      data-seen={node.entry.type === "field" ? "" : undefined}
      aria-describedby={describedBy(node, words, problems.length > 0 && "problem")}
      {...radios}
    >
      <legend>
        <Title node={node} />
        <DefaultMark node={node} />
      </legend>
      <Notes node={node} />
      {props.children}
      <Problems node={node} problems={problems} />
    </fieldset>
  );
}

/**
 * Moves the focus to a node: to its control, or to the group that has no control of its own. What is wrong with it is
 * drawn below the control after this; it comes into view too.
 */
export function focusNode(node: Node): void {
  const element = document.getElementById(node.id);
  const control = element?.matches("[role=radiogroup]")
    ? (element.querySelector<HTMLElement>("input:checked") ??
      element.querySelector<HTMLElement>("input[type=radio]"))
    : element;
  control?.focus();
  const whole = element?.closest(".form-field") ?? element;
  requestAnimationFrame(() => whole?.scrollIntoView({ block: "nearest" }));
}

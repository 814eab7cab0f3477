/** A list, or values by name: added, moved, removed and put back. */

import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Plain } from "../content";
import { labelOf, plain } from "./check";
import { Fieldset, TitleContext, useProblems, useWords } from "./frame";
import { GroupNode } from "./group_node";
import { type Item, ItemsNode } from "./items_node";
import { JsonSwitch } from "./json_switch";
import { TextNode } from "./leaf_nodes";
import type { Node } from "./node";

/** `view` renders the node of an item. */
export function ItemsView({
  node,
  view,
}: {
  readonly node: ItemsNode;
  readonly view: (node: Node) => JSX.Element;
}): JSX.Element {
  node.tick.value;
  const words = useWords();
  const problems = useProblems(node);
  // The element that gets the focus after the next rendering: a button that was pressed may have moved.
  const next = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    const element = next.current === undefined ? null : document.getElementById(next.current);
    next.current = undefined;
    const control = element?.matches("fieldset, li")
      ? element.querySelector<HTMLElement>("input, textarea")
      : element;
    (control ?? element)?.focus();
  });
  const title = (at: number) => `${node.entry.item.title} ${at + 1}`;
  const change = (focus: string, act: () => void) => {
    next.current = focus;
    act();
  };
  const removeAt = (at: number) => change(`${node.id}-back`, () => node.remove(at));
  const paste = (at: number) => (event: ClipboardEvent) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const isLine = event.target instanceof HTMLInputElement && node.items[at]?.node instanceof TextNode;
    if (!isLine || !/\S\r?\n\s*\S/.test(text) || node.entry.keyed) return;
    event.preventDefault();
    change(`${node.id}-add`, () => node.paste(at, text));
  };
  return (
    <Fieldset node={node} problems={problems} class="form-group">
      {node.json ? (
        view(node.json)
      ) : (
        <>
          <ol class="form-items">
            {node.items.map((item, at) => (
              <li key={item.node.id} id={`${item.node.id}-item`} onPaste={paste(at)}>
                <ItemHead node={node} item={item} title={title(at)} />
                <TitleContext.Provider value={{ node: item.node, title: title(at) }}>
                  {view(item.node)}
                </TitleContext.Provider>
                <div class="form-buttons">
                  <ItemButton
                    id={`${item.node.id}-up`}
                    label={words.moveUp}
                    of={title(at)}
                    disabled={at === 0}
                    act={() => change(`${item.node.id}-up`, () => node.move(at, -1))}
                  />
                  <ItemButton
                    id={`${item.node.id}-down`}
                    label={words.moveDown}
                    of={title(at)}
                    disabled={at === node.items.length - 1}
                    act={() => change(`${item.node.id}-down`, () => node.move(at, 1))}
                  />
                  <ItemButton label={words.remove} of={title(at)} act={() => removeAt(at)} />
                </div>
              </li>
            ))}
          </ol>
          <div class="form-buttons">
            <button
              type="button"
              class="form-button"
              id={`${node.id}-add`}
              aria-label={`${words.add}: ${node.entry.item.title}`}
              onClick={() => {
                const item = node.add();
                next.current = `${item.node.id}-item`;
              }}
            >
              {words.add}
            </button>
            {node.removed && (
              <button
                type="button"
                class="form-button"
                id={`${node.id}-back`}
                onClick={() => change(`${node.removed?.item.node.id}-item`, () => node.putBack())}
              >
                {words.putBack} <Plain text={title(node.removed.at)} />
              </button>
            )}
          </div>
        </>
      )}
      <JsonSwitch node={node} />
    </Fieldset>
  );
}

/** The number of an item, or the field for its name. */
function ItemHead(props: {
  readonly node: ItemsNode;
  readonly item: Item;
  readonly title: string;
}): JSX.Element | null {
  const words = useWords();
  const { node, item, title } = props;
  const isWrong = useProblems(node).length > 0 && node.nameProblem(item) !== "";
  if (!node.entry.keyed) {
    return item.node instanceof GroupNode || item.node instanceof ItemsNode ? (
      <h4>
        <Plain text={title} />
      </h4>
    ) : null;
  }
  const id = `${item.node.id}-name`;
  return (
    <div class="form-field">
      <label for={id}>
        {words.name} ({words.required})<span class="visually-hidden">: {title}</span>
      </label>
      <input
        id={id}
        type="text"
        autocomplete="off"
        dir="auto"
        list={node.entry.names.length ? `${id}s` : undefined}
        defaultValue={item.name}
        aria-describedby={isWrong ? `${node.id}-problem` : undefined}
        aria-invalid={isWrong}
        onInput={({ currentTarget: { value } }) => node.rename(item, value)}
        onBlur={() => {
          if (item.name) node.visited.value = true;
        }}
      />
      {node.entry.names.length > 0 && (
        <datalist id={`${id}s`}>
          {node.entry.names.map((choice) => (
            <option key={plain(choice.value)} value={labelOf(choice)} />
          ))}
        </datalist>
      )}
    </div>
  );
}

function ItemButton(props: {
  readonly id?: string;
  readonly label: string;
  readonly of: string;
  readonly disabled?: boolean;
  readonly act: () => void;
}): JSX.Element {
  const { id, label, of, disabled = false, act } = props;
  return (
    <button
      type="button"
      class="form-button"
      {...(id && { id })}
      aria-label={`${label}: ${of}`}
      aria-disabled={disabled}
      onClick={() => !disabled && act()}
    >
      {label}
    </button>
  );
}

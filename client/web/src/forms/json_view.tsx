/** A value as JSON text, checked while it is typed. */

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { format, tryParse } from "../json/exact";
import { describedBy, Labelled, Problems, useProblems, useWords } from "./frame";
import type { TextNode } from "./leaf_nodes";

export function JsonView({ node }: { readonly node: TextNode }): JSX.Element {
  node.tick.value;
  const words = useWords();
  const area = useRef<HTMLTextAreaElement>(null);
  const isEmpty = !node.text.trim();
  const problems = useProblems(node, !isEmpty);
  const offset = isEmpty ? undefined : node.errorOffset();
  const write = (change: (element: HTMLTextAreaElement) => void) => {
    if (!area.current) return;
    change(area.current);
    area.current.focus();
  };
  const tidy = () =>
    write((element) => {
      const value = tryParse(element.value);
      if (value === undefined) return;
      element.value = format(value, 2);
      node.type(element.value);
    });
  const { required, nullable, secret } = node.entry;
  return (
    <Labelled node={node}>
      <textarea
        ref={area}
        id={node.id}
        class={secret ? "form-json form-masked" : "form-json"}
        rows={6}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        defaultValue={node.text}
        aria-required={required && !nullable}
        aria-invalid={problems.length > 0}
        aria-describedby={describedBy(node, words, problems.length > 0 && "problem")}
        onInput={({ currentTarget: { value } }) => node.type(value)}
      />
      <Problems node={node} problems={problems} />
      <div class="form-buttons">
        <button
          type="button"
          class="form-button"
          aria-disabled={isEmpty || offset !== undefined}
          onClick={tidy}
        >
          {words.formatJson}
        </button>
        {offset !== undefined && (
          <button
            type="button"
            class="form-button"
            onClick={() => write((element) => element.setSelectionRange(offset, offset + 1))}
          >
            {words.goToError}
          </button>
        )}
        {!isEmpty && !problems.length && <span class="form-valid">{words.valid}</span>}
      </div>
    </Labelled>
  );
}

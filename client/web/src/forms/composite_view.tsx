/** Objects, lists and unions. */

import type { JSX } from "preact";
import { Plain } from "../content";
import { format } from "../json/exact";
import { ChoiceView, MultiView } from "./choice_view";
import { Fieldset, Notes, Problems, useProblems, useWords } from "./frame";
import { GroupNode } from "./group_node";
import { ItemsNode } from "./items_node";
import { ItemsView } from "./items_view";
import { JsonSwitch } from "./json_switch";
import { JsonView } from "./json_view";
import { ChoiceNode, MultiNode, TextNode } from "./leaf_nodes";
import type { Node } from "./node";
import { TextView } from "./text_view";
import { VariantsNode } from "./variants_node";

interface ViewProps {
  readonly node: Node;
  /** Whether the title stands above already. */
  readonly bare?: boolean;
}

/** The controls of a node. They are made again when something else than typing changed it. */
export function NodeView({ node, bare = false }: ViewProps): JSX.Element | null {
  node.tick.value;
  const key = `${node.id} ${node.epoch}`;
  if (node instanceof TextNode) {
    return node.entry.kind === "json" ? (
      <JsonView key={key} node={node} />
    ) : (
      <TextView key={key} node={node} />
    );
  }
  if (node instanceof ChoiceNode) return <ChoiceView key={key} node={node} />;
  if (node instanceof MultiNode) return <MultiView key={key} node={node} />;
  if (node instanceof GroupNode) return <GroupView key={node.id} node={node} bare={bare} />;
  if (node instanceof ItemsNode) return <ItemsView key={node.id} node={node} view={itemView} />;
  return node instanceof VariantsNode ? <VariantsView key={key} node={node} /> : null;
}

function itemView(node: Node): JSX.Element {
  return <NodeView node={node} bare />;
}

function GroupView({ node, bare }: { readonly node: GroupNode; readonly bare: boolean }): JSX.Element {
  node.tick.value;
  const words = useWords();
  const problems = useProblems(node);
  const { preset, title } = node.entry;
  const fields = node.json ? (
    <NodeView node={node.json} />
  ) : (
    node.children().map((child) => <NodeView key={child.id} node={child} />)
  );
  const body = (
    <>
      {node.isOptional && (
        <label class="form-option">
          <input
            type="checkbox"
            checked={node.open}
            onChange={({ currentTarget: { checked } }) => node.setOpen(checked)}
          />
          <span>
            {words.fillIn} <Plain text={title} />
          </span>
        </label>
      )}
      {!node.open && preset !== undefined && preset !== null && (
        <p class="form-hint" data-seen>
          {words.ifLeftOut} <Plain text={format(preset)} />
        </p>
      )}
      {node.open && fields}
      {node.open && <Further node={node} />}
      {node.open && (!bare || !node.parent) && <JsonSwitch node={node} />}
    </>
  );
  if (bare) {
    return (
      <div id={node.id} class="form-fields" tabIndex={-1}>
        {body}
        <Problems node={node} problems={problems} />
      </div>
    );
  }
  return (
    <Fieldset node={node} problems={problems} class="form-group">
      {body}
    </Fieldset>
  );
}

function Further({ node }: { readonly node: GroupNode }): JSX.Element | null {
  const words = useWords();
  if (!node.further.size || node.json) return null;
  return (
    <div class="form-field">
      <p>{words.further}</p>
      <pre class="form-json">
        <Plain text={format(node.further, 2)} />
      </pre>
      <button
        type="button"
        class="form-button"
        aria-label={`${words.remove}: ${words.further}`}
        onClick={() => node.dropFurther()}
      >
        {words.remove}
      </button>
    </div>
  );
}

function VariantsView({ node }: { readonly node: VariantsNode }): JSX.Element {
  node.tick.value;
  const words = useWords();
  const problems = useProblems(node);
  const { variants, required, nullable } = node.entry;
  const choice = (title: string | undefined, label: string) => (
    <label class="form-option" key={label}>
      <input
        type="radio"
        name={`${node.id}-kind`}
        checked={node.chosen === title}
        onChange={() => node.choose(title)}
      />
      <span>
        <Plain text={label} />
      </span>
    </label>
  );
  const chosen = node.node;
  return (
    <Fieldset node={node} problems={problems} class="form-group">
      {node.json ? (
        <NodeView node={node.json} />
      ) : (
        <>
          <div role="radiogroup" aria-label={node.entry.title}>
            {variants.map(({ title }) => choice(title, title))}
            {(!required || nullable) && choice(undefined, words.noAnswer)}
          </div>
          {chosen && (
            <div class="form-branch">
              {chosen instanceof GroupNode && chosen.entry.help && <Notes node={chosen} />}
              <NodeView key={chosen.id} node={chosen} bare />
            </div>
          )}
        </>
      )}
      <JsonSwitch node={node} />
    </Fieldset>
  );
}

// A rule by its name and revision, where the page says what it did.

import { useEffect } from "preact/hooks";
import type { Inbox } from "../../model/inbox";
import { rich } from "../../words/later";
import { usePage } from "../page";
import { PlaceLink } from "../place_link";
import { writesRules } from "../roles";
import { Name } from "../ui";
import { readRules, rulesOf } from "./rule_store";
import { newestSpec } from "./rule_words";

/** The ids that were looked for: each once, because a rule of another namespace is not found. */
const asked = new WeakMap<Inbox, Set<string>>();

/** Where they are read now: a log names several rules at once. */
const reading = new WeakSet<Inbox>();

function ask(inbox: Inbox, ruleId: string): void {
  const found = asked.get(inbox) ?? new Set();
  asked.set(inbox, found);
  if (found.has(ruleId)) return;
  found.add(ruleId);
  if (reading.has(inbox)) return;
  reading.add(inbox);
  // Without its name the rule is named by its id.
  readRules(inbox, true)
    .catch(() => undefined)
    .finally(() => reading.delete(inbox));
}

interface RuleRefProps {
  /** What the rule gave. */
  readonly made: { readonly ruleId?: string; readonly ruleRevision?: string };
  /** Without a link: in a window with text that is not saved. */
  readonly isPlain?: boolean;
}

/** "rule list files, revision 3", with a link for people who may see rules; for others with the id. */
export function RuleRef({ made: { ruleId = "", ruleRevision = "" }, isPlain = false }: RuleRefProps) {
  const { inbox } = usePage();
  const maySee = writesRules(inbox.session.value);
  const known = rulesOf(inbox).value?.get(ruleId);
  useEffect(() => {
    if (maySee && known === undefined && ruleId !== "") ask(inbox, ruleId);
  }, [inbox, maySee, known, ruleId]);
  const name = <Name text={(known === undefined ? "" : newestSpec(known).name) || ruleId} />;
  return (
    <span data-rule={ruleId}>
      {rich("rule.ref", {
        name: maySee && !isPlain ? <PlaceLink place={{ view: "rules", ruleId }}>{name}</PlaceLink> : name,
        n: ruleRevision,
      })}
    </span>
  );
}

interface RuleRefsProps extends Pick<RuleRefProps, "isPlain"> {
  readonly refs: readonly string[];
}

/** Rules by their references, such as `0192…@3`. */
export function RuleRefs({ refs, isPlain = false }: RuleRefsProps) {
  return (
    <>
      {refs.map((ref, index) => {
        const at = ref.lastIndexOf("@");
        return (
          <span key={ref}>
            {index === 0 ? "" : ", "}
            <RuleRef made={{ ruleId: ref.slice(0, at), ruleRevision: ref.slice(at + 1) }} isPlain={isPlain} />
          </span>
        );
      })}
    </>
  );
}

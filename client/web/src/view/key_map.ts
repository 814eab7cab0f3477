// Which key does what: the usual keys, and those that the person chose instead. Pure functions.

import { PAGE_KEYS, type PageKey, PROMPT_KEYS } from "./keys";

/** The commands whose keys can be changed. */
export const COMMANDS: readonly PageKey[] = [...PROMPT_KEYS, ...PAGE_KEYS];

/** The keys that a person chose, by command. A command that is not in it has its usual key. */
export type KeyChoices = Readonly<Record<string, readonly string[]>>;

/** The keys of each command. No key has two commands. */
type KeyMap = ReadonlyMap<PageKey, readonly string[]>;

/** Whether a command can have a key: one visible character. Enter belongs to buttons and rows, so only the form has it. */
export function isUsable(key: string, command: PageKey): boolean {
  if (key === "Enter") return command.key === "Enter";
  return Array.from(key).length === 1 && !/[\p{C}\p{Z}\p{M}]/u.test(key);
}

/** The choices in a stored value, which may be anything. */
export function readChoices(value: unknown): KeyChoices {
  const found: Record<string, readonly string[]> = {};
  if (typeof value !== "object" || value === null) return found;
  const stored = new Map(Object.entries(value));
  for (const { does } of COMMANDS) {
    const keys: unknown = stored.get(does);
    if (Array.isArray(keys)) found[does] = keys.filter((key) => typeof key === "string");
  }
  return found;
}

/** The keys of all commands. A chosen key takes it from the command whose usual key it is. */
export function mapOf(choices: KeyChoices): KeyMap {
  const taken = new Set<string>();
  const found = new Map<PageKey, readonly string[]>();
  const give = (command: PageKey, keys: readonly string[]) => {
    const free = keys.filter((key) => isUsable(key, command) && !taken.has(key));
    found.set(command, [...new Set(free)]);
    for (const key of free) taken.add(key);
  };
  const chosen = (command: PageKey) => choices[command.does];
  for (const command of COMMANDS) give(command, chosen(command) ?? []);
  for (const command of COMMANDS) if (chosen(command) === undefined) give(command, [command.key]);
  return found;
}

/** The command of a key. */
export function commandOf(map: KeyMap, key: string): PageKey | undefined {
  for (const [command, keys] of map) if (keys.includes(key)) return command;
  return undefined;
}

/** The choices with these keys for a command; without an entry where they are the usual ones. */
function choose(choices: KeyChoices, command: PageKey, keys: readonly string[]): KeyChoices {
  const { [command.does]: _, ...others } = choices;
  const isUsual = keys.length === 1 && keys[0] === command.key;
  return isUsual ? others : { ...others, [command.does]: keys };
}

type Change =
  | { readonly kind: "done"; readonly choices: KeyChoices }
  | { readonly kind: "unusable" }
  | { readonly kind: "taken"; readonly by: PageKey };

/** Give a command one more key. Refused: a key that cannot be one, and a key of another command. */
export function addKey(choices: KeyChoices, command: PageKey, key: string): Change {
  if (!isUsable(key, command)) return { kind: "unusable" };
  const map = mapOf(choices);
  const by = commandOf(map, key);
  if (by === command) return { kind: "done", choices };
  if (by !== undefined) return { kind: "taken", by };
  return { kind: "done", choices: choose(choices, command, [...(map.get(command) ?? []), key]) };
}

export function removeKey(choices: KeyChoices, command: PageKey, key: string): KeyChoices {
  const keys = mapOf(choices).get(command) ?? [];
  return choose(
    choices,
    command,
    keys.filter((one) => one !== key),
  );
}

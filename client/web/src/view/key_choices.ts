// The keys as they are now, for the parts of the page that react to them or show them.

import { computed } from "@preact/signals";
import type { Decision } from "../wire/messages";
import { COMMANDS, commandOf, mapOf } from "./key_map";
import type { PageKey } from "./keys";
import { settings } from "./settings_store";

const map = computed(() => mapOf(settings.keys.value));

/** The command of a key that was pressed. */
export function pressed(key: string): PageKey | undefined {
  return commandOf(map.peek(), key);
}

/** The keys of a command, whether single keys are on or off. */
export function keysOf(command: PageKey): readonly string[] {
  return map.value.get(command) ?? [];
}

/** The keys that a command reacts to now, for hints beside it: none while single keys are off. */
export function hintsOf(does: PageKey["does"] | undefined): readonly string[] {
  const command = COMMANDS.find((one) => one.does === does);
  return command === undefined || !settings.singleKeys.value ? [] : keysOf(command);
}

/** What a key does that makes a decision. */
export function commandFor(decision: Decision): PageKey["does"] | undefined {
  return COMMANDS.find((one) => one.decision === decision)?.does;
}

/** JSON pointers (RFC 6901): `/lines/0/count`. The empty pointer is the whole value. */

/** The pointer to a value in the object or list that `parent` points to. */
export function childPointer(parent: string, name: string): string {
  return `${parent}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The names and indexes on the way to the value. */
export function pointerSteps(pointer: string): readonly string[] {
  const [, ...steps] = pointer.split("/");
  return steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

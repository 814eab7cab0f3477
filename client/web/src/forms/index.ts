// Forms: from typed questions or a JSON Schema to the values of an answer.

export { type Form, makeForm } from "./form";
export { FormView, revealProblems } from "./form_view";

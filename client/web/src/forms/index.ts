// Forms: from typed questions or a JSON Schema to the values of an answer.

export { type Form, makeForm, type Values } from "./form";
export { FormView, type FormViewProps, revealProblems } from "./form_view";
export type { Settings } from "./formats";
export type { Lost, Problem } from "./node";
export type { FormWords } from "./words";
export { DE as formWordsDe } from "./words_de";
export { EN as formWordsEn } from "./words_en";

import type { Bounds } from "./entries";
import { type FormWords, shortList, type Unit } from "./words";

const DATE = "ein Datum wie 2026-12-01";
const MOMENT = "Datum und Uhrzeit wie 2026-12-01 15:00 (Ihre Zeit)";
const MOMENT_RIGHT = `${MOMENT} oder 2026-12-01 15:00 +01:00`;
const CLOCK = "eine Uhrzeit wie 15:00";
const DURATION = "eine Dauer wie 1h30m oder 2d";

const TYPES: Readonly<Record<string, string>> = {
  object: "ein Objekt",
  array: "eine Liste",
  string: "Text",
  integer: "eine ganze Zahl",
  number: "eine Zahl",
  boolean: "true oder false",
  null: "null",
};

const UNITS: Readonly<Record<Unit, string>> = {
  "": "",
  characters: "Zeichen",
  choices: "Angaben",
  values: "Einträge",
};
const ONE: Readonly<Record<Unit, string>> = {
  "": "",
  characters: "Zeichen",
  choices: "Angabe",
  values: "Eintrag",
};

/** A number with the comma of this language; a day stays as it is. */
function spelled(bound: string): string {
  return bound.replace(".", ",");
}

function limits(bounds: Bounds): string {
  const parts: string[] = [];
  if (bounds.low !== undefined)
    parts.push(`${bounds.lowOpen ? "mehr als" : "mindestens"} ${spelled(bounds.low)}`);
  if (bounds.high !== undefined)
    parts.push(`${bounds.highOpen ? "weniger als" : "höchstens"} ${spelled(bounds.high)}`);
  return parts.join(" und ");
}

function within(bounds: Bounds, unit: Unit = ""): string {
  const words = limits(bounds);
  const units = (bounds.high ?? bounds.low) === "1" ? ONE : UNITS;
  return words && unit ? `${words} ${units[unit]}` : words;
}

function expectation(what: string, bounds: Bounds): string {
  const words = limits(bounds);
  return `muss ${what} sein${words ? `, ${words}` : ""}`;
}

export const DE: FormWords = {
  decimalComma: true,
  yes: "Ja",
  no: "Nein",
  none: "keine",
  empty: "(leer)",
  noAnswer: "Keine Angabe",
  required: "erforderlich",
  recommended: "empfohlen",
  byDefault: "Vorgabe",
  asBefore: "wie in der Antwort davor",
  other: "Anderes",
  otherLines: "Anderes, eines je Zeile",
  why: "Warum:",
  theValues: "Die Angaben",
  fillIn: "Ausfüllen",
  ifLeftOut: "Ohne Angabe:",
  add: "Hinzufügen",
  remove: "Entfernen",
  moveUp: "Nach oben",
  moveDown: "Nach unten",
  putBack: "Wiederherstellen",
  name: "Name",
  value: "Wert",
  zone: "Zeitzone",
  yourTime: (zone) => `Ihre Zeit: ${zone}`,
  willBeSent: "Wird gesendet als",
  formatJson: "Formatieren",
  goToError: "Zum Fehler",
  asJson: "Als JSON bearbeiten",
  asForm: "Als Felder bearbeiten",
  valid: "Gültiges JSON",
  hidden: "verborgen",
  further: "Weitere Werte",
  leftOver: "Früher eingegeben und ohne Platz in diesem Formular",
  leftOverHelp: "Das Formular hat sich geändert. Kopieren Sie, was Sie noch brauchen.",
  discard: "Diesen Text verwerfen",
  wrongElsewhere: "Der Dienst lehnt Werte ab, die hier kein Feld zeigt:",
  filter: (count) => `${count} Möglichkeiten filtern`,
  filterShows: (shown, count) => `${shown} von ${count} sichtbar`,
  place: (number, count) => `${number} von ${count}`,
  variant: (number) => `Art ${number}`,
  kinds: {
    boolean: "Ja oder Nein",
    string: "Text",
    integer: "eine ganze Zahl",
    number: "eine Zahl",
    array: "eine Liste",
    object: "mehrere Felder",
  },
  hints: {
    integer: "eine ganze Zahl",
    number: "eine Zahl",
    json: "JSON",
    time: CLOCK,
    "time-local": CLOCK,
    duration: DURATION,
    uuid: "eine UUID wie 0b9c2a3e-5f1d-4c7b-9a8e-6d5f4e3c2b1a",
    uri: "ein Link wie https://example.com/page",
    email: "eine E-Mail-Adresse wie ana@example.com",
    jsonText: 'JSON wie {"a": 1}',
    path: "ein Pfad wie reports/2026.csv",
    ipv4: "eine IPv4-Adresse wie 192.0.2.1",
    ipv6: "eine IPv6-Adresse wie 2001:db8::1",
    ipvanyaddress: "eine IP-Adresse wie 192.0.2.1",
    secret: "verdeckt beim Tippen und in keinem Entwurf",
  },
  bounds: within,
  multiple: (step) => `ein Vielfaches von ${spelled(step)}`,
  suchAs: (example) => `etwa ${example}`,
  certainForm: "muss eine bestimmte Form haben",
  pattern: "Die Form als Muster",
  wrongForm: (example) => `hat nicht die verlangte Form${example && `, etwa ${example}`}`,
  mustBeGiven: "muss angegeben werden",
  mustBeComplete: "ist nicht vollständig: alle Teile ausfüllen oder leeren",
  mustBeNumber: (bounds) => expectation("eine Zahl wie 12,5", bounds),
  mustBeWhole: (bounds) => expectation("eine ganze Zahl", bounds),
  mustBeDate: (bounds) => expectation(DATE, bounds),
  mustBe: (bounds) => `muss ${limits(bounds)} sein`,
  mustHave: (bounds, unit) => `muss ${within(bounds, unit)} haben`,
  mustBeMultiple: (step) => `muss ein Vielfaches von ${spelled(step)} sein`,
  mustNotGroup: (plain) => `muss ohne Tausenderpunkte geschrieben werden, etwa ${plain}`,
  tooLarge: "ist zu groß",
  badCharacters: "enthält ein Zeichen, das nicht gesendet werden kann",
  notInCalendar: (text, bounds) => `„${text}“ gibt es im Kalender nicht; es ${expectation(DATE, bounds)}`,
  mustBeMoment: `muss ${MOMENT_RIGHT} sein`,
  momentNotInCalendar: (text) => `„${text}“ gibt es im Kalender nicht; schreiben Sie ${MOMENT_RIGHT}`,
  unknownZone: (zone) =>
    `hat eine Zeitzone, die hier unbekannt ist, „${zone}“; schreiben Sie einen Abstand wie +01:00 oder Z für UTC`,
  unknownOffset: (zone) => `hat einen Abstand, den keine Zeitzone hat, „${zone}“; schreiben Sie etwa +01:00`,
  timeSkipped:
    "gibt es bei Ihnen nicht: die Uhren überspringen die Stunde; geben Sie einen Abstand wie +01:00 an",
  timeTwice: (one, other) =>
    `gibt es bei Ihnen zweimal, da die Uhren zurückgestellt werden: geben Sie ${one} oder ${other} an`,
  clockMustBe: `muss ${CLOCK} sein`,
  notOnClock: (text) => `„${text}“ gibt es auf der Uhr nicht; schreiben Sie ${CLOCK}`,
  durationMustBe: `muss ${DURATION} sein`,
  wholeSeconds: "muss aus ganzen Sekunden bestehen",
  tooLong: "ist zu lang",
  mustBeFormat: (hint) => `muss ${hint} sein`,
  notOffered: (text, labels) =>
    `„${text}“ steht nicht zur Wahl; möglich: ${shortList(labels, (count) => `${count} weitere`)}`,
  atLeastOneChoice: "muss mindestens eine Angabe haben",
  chooseOne: "muss gewählt werden",
  sameTwice: "darf denselben Wert nicht zweimal haben",
  nameTwice: (name) => `„${name}“ darf nicht zweimal vorkommen`,
  nameMissing: "muss einen Namen haben",
  notJson: (fault, line, column) => `ist kein JSON: ${FAULTS[fault]} (Zeile ${line}, Spalte ${column})`,
  nameTwiceAt: (name, line, column) =>
    `hat den Namen „${name}“ zweimal in einem Objekt (Zeile ${line}, Spalte ${column})`,
  mustBeType: (types) => `muss ${types.map((name) => TYPES[name] ?? name).join(" oder ")} sein`,
  mustBeJsonText: 'muss JSON wie {"a": 1} sein',
  mustBeConstant: (text) => `muss ${text} sein`,
  notAllowed: "ist nicht erlaubt",
  unknownField: "ist kein Feld dieses Formulars",
  isRequired: "ist erforderlich",
  fitsNoVariant: "passt zu keiner der erlaubten Arten",
  fitsSeveralVariants: "passt zu mehreren Arten und darf nur zu einer passen",
};

const FAULTS = {
  value_expected: "ein Wert fehlt",
  name_expected: "ein Name in Anführungszeichen fehlt",
  colon_expected: "ein Doppelpunkt fehlt",
  comma_expected: "ein Komma oder das Ende der Liste oder des Objekts fehlt",
  end_expected: "hier darf nichts folgen",
  bad_number: "so wird keine Zahl geschrieben",
  bad_string: "dieses Zeichen muss maskiert werden",
  string_not_closed: "ein Text ist nicht geschlossen",
  too_deep: "zu tief verschachtelt",
} as const;

// The tone for new questions, made by the browser: two short notes.

/** Frequency in hertz, start and end in seconds. */
const NOTES = [
  [660, 0, 0.16],
  [880, 0.14, 0.42],
] as const;
/** The gain at full volume. A sine at gain 1 hurts. */
const LOUDEST = 0.4;
/** A gain ramp cannot begin at 0. */
const SILENCE = 0.0001;

let context: AudioContext | null = null;

/** Call it in a click or a key press: browsers start sound only there. */
export function primeTone(): void {
  if (context !== null) return;
  context = new AudioContext();
  // It rests until a tone is played.
  const made = context;
  void made.resume().then(() => made.suspend());
}

/** Play it at a volume from 1 to 100. Does nothing in a page that was not touched since it was loaded. */
export async function playTone(volume: number): Promise<void> {
  if (context === null) {
    if (!navigator.userActivation.hasBeenActive) return;
    context = new AudioContext();
  }
  const audio = context;
  await audio.resume();
  const start = audio.currentTime;
  let last: OscillatorNode | null = null;
  for (const [frequency, from, to] of NOTES) {
    const oscillator = new OscillatorNode(audio, { frequency });
    const gain = new GainNode(audio, { gain: SILENCE });
    gain.gain.setValueAtTime(SILENCE, start + from);
    gain.gain.exponentialRampToValueAtTime((LOUDEST * volume) / 100, start + from + 0.02);
    gain.gain.exponentialRampToValueAtTime(SILENCE, start + to);
    oscillator.connect(gain).connect(audio.destination);
    oscillator.start(start + from);
    oscillator.stop(start + to);
    last = oscillator;
  }
  last?.addEventListener("ended", () => void audio.suspend());
}

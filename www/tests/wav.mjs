// Sound that the tests make: tones, and something like a voice.

import { writeFileSync } from "node:fs";

/**
 * Writes samples from -1 to 1 as a file of one channel and 16 bits.
 *
 * @param {string} file
 * @param {number} rate samples a second
 * @param {Float32Array} samples
 */
export function writeWav(file, rate, samples) {
  const bytes = Buffer.alloc(44 + 2 * samples.length);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * samples.length, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * rate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((sample, index) => bytes.writeInt16LE(Math.round(32_767 * Math.min(1, Math.max(-1, sample))), 44 + 2 * index));
  writeFileSync(file, bytes);
}

/**
 * The sum of tones.
 *
 * @param {{ hertz: number, amplitude: number }[]} tones
 * @param {number} rate
 * @param {number} seconds
 */
export function tones(tones, rate, seconds) {
  return Float32Array.from({ length: rate * seconds }, (_, index) =>
    tones.reduce((sum, { hertz, amplitude }) => sum + amplitude * Math.sin((2 * Math.PI * hertz * index) / rate), 0),
  );
}

/** Formants of an a, an i and an u: frequency and bandwidth, hertz. */
const VOWELS = [
  [[730, 90], [1090, 110], [2440, 170]],
  [[270, 60], [2290, 120], [3010, 200]],
  [[300, 60], [870, 90], [2240, 170]],
];

/**
 * A made-up voice: pulses of a throat at a wandering pitch through the resonances of vowels, four syllables a second.
 *
 * @param {number} rate
 * @param {number} seconds
 */
export function voice(rate, seconds) {
  const samples = new Float32Array(rate * seconds);
  let pulse = 0;
  const memory = VOWELS[0].map(() => [0, 0]);
  for (let index = 0; index < samples.length; index++) {
    const time = index / rate;
    const pitch = 125 + 20 * Math.sin(2 * Math.PI * 0.7 * time) + 6 * Math.sin(2 * Math.PI * 5 * time);
    pulse += pitch / rate;
    const isPulse = pulse >= 1;
    pulse %= 1;
    const syllable = (time * 4) % 1;
    const loudness = syllable < 0.75 ? Math.sin((Math.PI * syllable) / 0.75) : 0;
    let sample = (isPulse ? 1 : 0) * loudness;
    for (const [formant, [hertz, bandwidth]] of VOWELS[Math.floor(time * 4) % VOWELS.length].entries()) {
      // A resonance of second order.
      const radius = Math.exp((-Math.PI * bandwidth) / rate);
      const [one, two] = memory[formant];
      const out = sample * (1 - radius) + 2 * radius * Math.cos((2 * Math.PI * hertz) / rate) * one - radius * radius * two;
      memory[formant] = [out, one];
      sample = out + 0.3 * sample;
    }
    samples[index] = sample;
  }
  const most = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return samples.map((sample) => (0.6 * sample) / most);
}

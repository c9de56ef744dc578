// @ts-check
// Mixes sound to one channel and brings it to 16 kHz: on the browser's audio thread, and on the page's for sound that is there as a
// whole.

/** Samples a second that the networks hear. */
export const RATE = 16_000;
/** Samples of a block: 32 ms, what the voice network reads at a time. */
export const BLOCK = 512;

/** Half the length of the filter, in samples of the slower side. */
const REACH = 24;
/** Share of what both sides can hold up to which the filter falls by half; from 1 on nothing is left. */
const KEPT = 0.9;
/** Shape of the Kaiser window; its side lobes lie 80 dB down. */
const BETA = 7.86;

/**
 * Brings one stream of samples to another rate, with a windowed sinc (a low pass of linear phase) as filter. Sample `m` of
 * what comes out lies at the time of sample `m * from / to` of what went in.
 */
export class Resampler {
  /** Rates without their common factor: `step` samples go in where `phases` come out. */
  #step;
  #phases;
  #half;
  /** The filter of each phase, one after the other, `2 * half` taps each. */
  #taps;
  /** What went in and is still needed. @type {Float32Array} */
  #held;
  /** Where the next sample lies: before this one of `held`, plus a phase. */
  #index;
  #phase = 0;

  /**
   * @param {number} from samples a second of what goes in, a whole number
   * @param {number} [to] samples a second of what comes out
   */
  constructor(from, to = RATE) {
    const factor = commonFactor(from, to);
    this.#step = from / factor;
    this.#phases = to / factor;
    const slowing = Math.max(1, from / to);
    this.#half = Math.ceil(REACH * slowing);
    this.#taps = filterOf(this.#phases, this.#half, KEPT / slowing);
    // Silence comes before the first sample.
    this.#held = new Float32Array(this.#half - 1);
    this.#index = this.#half - 1;
  }

  /**
   * The samples that can be told so far.
   *
   * @param {Float32Array} samples
   * @returns {Float32Array<ArrayBuffer>}
   */
  push(samples) {
    const half = this.#half;
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    const most = Math.max(0, Math.ceil(((held.length - half - this.#index) * this.#phases) / this.#step) + 1);
    const out = new Float32Array(most);
    let count = 0;
    while (this.#index + half < held.length) {
      const start = this.#phase * 2 * half;
      const first = this.#index - half + 1;
      let sum = 0;
      for (let tap = 0; tap < 2 * half; tap++) sum += this.#taps[start + tap] * held[first + tap];
      out[count++] = sum;
      this.#phase += this.#step;
      this.#index += Math.floor(this.#phase / this.#phases);
      this.#phase %= this.#phases;
    }
    const gone = Math.max(0, Math.min(held.length, this.#index - half + 1));
    this.#held = held.slice(gone);
    this.#index -= gone;
    return out.slice(0, count);
  }

  /** The last samples: silence follows what went in. */
  finish() {
    return this.push(new Float32Array(this.#half));
  }
}

/**
 * The mean of all channels; what is no number is silence.
 *
 * @param {readonly Float32Array[]} channels of equal length
 * @returns {Float32Array<ArrayBuffer>}
 */
export function mixToMono(channels) {
  const mono = new Float32Array(channels[0]?.length ?? 0);
  for (let index = 0; index < mono.length; index++) {
    let sum = 0;
    for (const channel of channels) sum += channel[index];
    const mean = sum / channels.length;
    mono[index] = Number.isFinite(mean) ? mean : 0;
  }
  return mono;
}

/**
 * Cuts off what is louder than -1 to 1, in place: filters overshoot.
 *
 * @template {Float32Array} Samples
 * @param {Samples} samples
 */
export function limit(samples) {
  for (let index = 0; index < samples.length; index++) samples[index] = Math.min(1, Math.max(-1, samples[index]));
  return samples;
}

/**
 * @param {number} phases
 * @param {number} half
 * @param {number} cutoff 1 is half the rate of what goes in
 */
function filterOf(phases, half, cutoff) {
  const taps = new Float32Array(phases * 2 * half);
  for (let phase = 0; phase < phases; phase++) {
    const filter = taps.subarray(phase * 2 * half, (phase + 1) * 2 * half);
    let sum = 0;
    for (let tap = 0; tap < filter.length; tap++) {
      // From where the sample lies to the one that the tap is for.
      const distance = tap - half + 1 - phase / phases;
      filter[tap] = sinc(cutoff * distance) * kaiser(distance / half);
      sum += filter[tap];
    }
    // What does not change comes out as it went in.
    for (let tap = 0; tap < filter.length; tap++) filter[tap] /= sum;
  }
  return taps;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param {number} x from -1 to 1; the window is 0 beyond */
function kaiser(x) {
  return Math.abs(x) >= 1 ? 0 : bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA);
}

/** The modified Bessel function of the first kind and order 0, by its series. @param {number} x */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let order = 1; term > sum * 1e-9; order++) {
    term *= (x / (2 * order)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * @param {number} one
 * @param {number} other
 * @returns {number}
 */
function commonFactor(one, other) {
  return other === 0 ? one : commonFactor(other, one % other);
}

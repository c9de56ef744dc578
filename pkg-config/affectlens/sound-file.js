// @ts-check
// Sound that is there as a whole: decoded, brought to 16 kHz, and handed over as far as the pictures are.

import { AffectLensError } from "./errors.js";
import { RATE, Resampler, limit, mixToMono } from "./resampler.js";

/** A larger file is better played: all of its sound would be in memory at once, ten times as large. */
const MOST_BYTES = 2 ** 28;
/** Sound is heard a little further than the picture is, so that there is some at its time. */
const AHEAD_MS = 100;
/** What is further away than this is not heard on the way to a picture: it would be forgotten by then. */
const FAR_MS = 10_000;
/** What is heard before a picture that is far away. */
const LEAD_MS = 5_000;
/** Length of a piece, samples at 16 kHz: one second. */
const PIECE = RATE;

/**
 * @param {Blob | File} file in a format that the browser decodes; a video's sound counts
 * @returns {Promise<AudioBuffer>} 16,000 samples a second
 */
export async function decodeSound(file) {
  const name = "name" in file ? `the file \`${file.name}\`` : "the Blob";
  if (file.size > MOST_BYTES) {
    throw new AffectLensError("sound-empty", `${name} has ${file.size} bytes, expected at most ${MOST_BYTES}: play it in an element and listen to that`);
  }
  try {
    // Decoding also brings it to the context's rate.
    return await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  } catch (cause) {
    const kind = `${file.type || "of unknown type"}, ${file.size} bytes`;
    throw new AffectLensError("sound-empty", `${name} (${kind}) has no sound that this browser can decode`, { cause });
  }
}

/** The sound of a file, read along with pictures. Its first sample has the time 0. */
export class SoundFile {
  #rate;
  #length;
  #channels;
  /** @type {Resampler | undefined} */
  #resampler;
  /** Sample of the file that is read next. */
  #read = 0;
  /** Time at which what was handed over ends. */
  #heardMs = 0;
  #pictureMs = 0;

  /** @param {AudioBuffer} buffer */
  constructor(buffer) {
    this.#rate = buffer.sampleRate;
    this.#length = buffer.length;
    this.#channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
    this.#begin(0);
  }

  /** Whether all of it was handed over. */
  get isOver() {
    return this.#read >= this.#length;
  }

  /** What was heard is forgotten: before the next picture it begins anew. */
  restart() {
    this.#pictureMs = Infinity;
  }

  /**
   * The pieces that are heard before a picture. After a jump of the pictures what lies before it begins anew.
   *
   * @param {number} pictureMs time of the picture
   * @returns {Generator<import("./sound-queue.js").Piece>}
   */
  *until(pictureMs) {
    const goesBack = pictureMs < this.#pictureMs;
    this.#pictureMs = pictureMs;
    if (goesBack || pictureMs > this.#heardMs + FAR_MS) this.#begin(Math.max(0, pictureMs - LEAD_MS));
    while (this.#heardMs < pictureMs + AHEAD_MS && !this.isOver) {
      const missing = ((pictureMs + AHEAD_MS - this.#heardMs) * RATE) / 1000;
      const samples = this.#next(Math.min(PIECE, Math.ceil(missing)));
      const timeMs = this.#heardMs;
      this.#heardMs += (1000 * samples.length) / RATE;
      if (samples.length > 0) yield { samples, timeMs };
    }
  }

  /** @param {number} timeMs */
  #begin(timeMs) {
    this.#read = Math.min(this.#length, Math.round((timeMs * this.#rate) / 1000));
    this.#heardMs = (1000 * this.#read) / this.#rate;
    this.#resampler = this.#rate === RATE ? undefined : new Resampler(this.#rate);
  }

  /**
   * About so many samples, fewer at the end.
   *
   * @param {number} count
   */
  #next(count) {
    const start = this.#read;
    // The filter looks a little ahead.
    this.#read = Math.min(this.#length, start + Math.ceil((count * this.#rate) / RATE));
    const mono = mixToMono(this.#channels.map((channel) => channel.subarray(start, this.#read)));
    if (!this.#resampler) return limit(mono);
    const samples = this.#resampler.push(mono);
    return limit(this.isOver ? joined(samples, this.#resampler.finish()) : samples);
  }
}

/**
 * @param {Float32Array} one
 * @param {Float32Array} other
 */
function joined(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

// @ts-check
// The frames of a video file as the command line has them: every one, once, upright, at its time from the start of the file.

import { BlobSource, Input, InputDisposedError, MATROSKA, MP4, QTFF, UnsupportedInputFormatError, UrlSource, VideoSampleSink, WEBM } from "mediabunny";

import { AffectLensError, textOf } from "./errors.js";
import { HIGH_RANGE } from "./file-stream.js";
import { refuseTooLarge } from "./picture-size.js";
import { within } from "./time-limit.js";

/**
 * @typedef {import("mediabunny").InputVideoTrack} Track
 * @typedef {import("mediabunny").VideoSample} Sample
 * @typedef {{ image: VideoFrame | ImageBitmap, turn: number, timeMs: number }} FileFrame the image is the caller's to close; `turn`:
 *   degrees clockwise that put it upright
 */

/** Longest wait for the description of a file, and for its next frame. */
const PATIENCE_MS = 60_000;
/** A server that fails is asked again, this often at most; after so many seconds. */
const MOST_RETRIES = 4;
const RETRY_SECONDS = 1;
/** From this number of rows on a file without colour tags is taken for BT.709, below for BT.601; so does the command line. */
const HIGH_DEFINITION_ROWS = 720;
/** The last frame ends where its track does, but for what is lost to rounding and edit lists. */
const MOST_MISSING_SECONDS = 0.5;
/** Place of the `pre-skip` in the header of Opus, and the samples in a second that it counts. */
const [OPUS_SKIP, OPUS_RATE] = [10, 48_000];

/** A video file that is open. */
export class FileFrames {
  #input;
  #name;
  /** @type {AsyncIterator<Sample> | undefined} */
  #samples;
  #isClosed = false;
  /** Ticks of the video's clock in a second, and where the file starts on it. */
  #resolution = 1;
  #startTicks = 0;
  /** Where the frames end that came, and where the last one ends, where the file tells; seconds on its clock. */
  #endSeconds = 0;
  /** @type {number | null} */
  #wholeSeconds = null;
  /** Whether the file tells of all tracks together, as Matroska does: another one may be longer than the video. */
  #tellsOfAll = false;
  /** As far as the file tells, milliseconds. @type {number | null} */
  durationMs = null;

  /**
   * @param {Blob | string} source a file, or its whole address
   * @param {string} name what messages call it
   */
  constructor(source, name) {
    this.#name = name;
    const opened = typeof source === "string" ? new UrlSource(source, { getRetryDelay: retryDelay, handleUnhandledError: () => {} }) : new BlobSource(source, { handleUnhandledError: () => {} });
    // No more formats than browsers play: each makes a page larger.
    this.#input = new Input({ source: opened, formats: [MP4, QTFF, WEBM, MATROSKA] });
  }

  /** Reads what the file holds; refuses it where this browser cannot decode it. */
  async open() {
    try {
      await this.#inTime(this.#open());
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /**
   * The next frame, in the order of presentation.
   *
   * @returns {Promise<FileFrame | undefined>} nothing at the end
   */
  async next() {
    for (;;) {
      const sample = await this.#nextSample();
      if (!sample) {
        await this.#refuseCutOff();
        return undefined;
      }
      try {
        this.#endSeconds = Math.max(this.#endSeconds, sample.timestamp + sample.duration);
        // Before the start of an edit list: it is decoded for those after it, and never shown.
        if (sample.timestamp < 0) continue;
        refuseTooLarge(sample.displayWidth, sample.displayHeight);
        return { ...pictureOf(sample), timeMs: this.#timeOf(sample) };
      } finally {
        sample.close();
      }
    }
  }

  /** Ends reading and decoding; a frame that is waited for does not come. */
  close() {
    this.#isClosed = true;
    void this.#samples?.return?.();
    this.#input.dispose();
  }

  async #open() {
    const [track] = await this.#input.getVideoTracks();
    if (!track) throw new AffectLensError("video-malformed", `${this.#name} has no video stream`);
    const config = await track.getDecoderConfig();
    const codec = config?.codec ?? (await track.getInternalCodecId());
    if (!config) throw unsupported(`${this.#name} holds video of the unknown codec \`${codec}\``);
    const colourSpace = colourSpaceOf(config);
    track.getDecoderConfig = async () => ({ ...config, colorSpace: colourSpace });
    if (!(await track.canDecode())) throw unsupported(`this browser does not decode the codec \`${codec}\` of ${this.#name}`);
    this.#resolution = await track.getTimeResolution();
    const isMatroska = [MATROSKA, WEBM].includes(/** @type {any} */ (await this.#input.getFormat()));
    const start = await this.#findStart(isMatroska);
    this.#startTicks = Math.round(start * this.#resolution);
    const end = await track.getDurationFromMetadata();
    if (end !== null && end > start) this.durationMs = (end - start) * 1000;
    this.#wholeSeconds = end;
    this.#tellsOfAll = isMatroska;
    this.#samples = new VideoSampleSink(track).samples();
  }

  /** Where the file starts, seconds on its clock, as the command line has it: with the first of its tracks. @param {boolean} isMatroska */
  async #findStart(isMatroska) {
    const tracks = await this.#input.getTracks();
    const starts = tracks.map(async (track) => {
      const first = await track.getFirstTimestamp();
      // In MP4 what lies before 0 is never played; in Matroska the first samples of Opus are, before the time of their packet.
      if (!isMatroska || !track.isAudioTrack()) return Math.max(0, first);
      const resolution = await track.getTimeResolution();
      return first - Math.round((await delayOf(track)) * resolution) / resolution;
    });
    return Math.min(...(await Promise.all(starts)));
  }

  /** Where a file is cut off or broken its reader may only stop. */
  async #refuseCutOff() {
    const whole = this.#wholeSeconds;
    const isMissing = (/** @type {number} */ end) => whole !== null && whole - end > MOST_MISSING_SECONDS;
    if (whole === null || !isMissing(this.#endSeconds)) return;
    if (this.#tellsOfAll && !isMissing(await this.#findEnd())) return;
    const found = `${this.#endSeconds.toFixed(1)} s of ${whole.toFixed(1)} s`;
    throw new AffectLensError("video-malformed", `${this.#name} is cut off or broken: it has frames for ${found}`);
  }

  /** Where the longest of the tracks ends, seconds on the clock of the file. */
  async #findEnd() {
    try {
      return await this.#inTime(this.#input.computeDuration());
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async #nextSample() {
    try {
      const { value } = /** @type {IteratorResult<Sample, undefined>} */ (await this.#inTime(/** @type {any} */ (this.#samples).next()));
      if (!this.#isClosed) return value;
      value?.close();
      throw new InputDisposedError();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** In whole ticks, as they are stored: sums of fractions would stray from the command line's times. @param {Sample} sample */
  #timeOf({ timestamp }) {
    return ((Math.round(timestamp * this.#resolution) - this.#startTicks) * 1000) / this.#resolution;
  }

  /**
   * @template Value
   * @param {Promise<Value>} work
   */
  #inTime(work) {
    return within(PATIENCE_MS, work, () => new AffectLensError("video-missing", `nothing came of ${this.#name} for ${PATIENCE_MS / 1000} s`));
  }

  /** @param {unknown} cause */
  #explain(cause) {
    if (cause instanceof AffectLensError) return cause;
    if (cause instanceof UnsupportedInputFormatError) {
      return new AffectLensError("video-malformed", `${this.#name} is no video in MP4, QuickTime, WebM or Matroska`, { cause });
    }
    // What a decoder throws has names of its own; what a request throws is a TypeError or tells of the server's answer.
    const isOfRequest = cause instanceof TypeError && /fetch|network|load/i.test(cause.message);
    if (isOfRequest || /\bfetching\b|\bHTTP\b/i.test(textOf(cause))) {
      return new AffectLensError("video-missing", `${this.#name} cannot be fetched: ${textOf(cause)}`, { cause });
    }
    if (/** @type {any} */ (cause)?.name === "NotSupportedError") return unsupported(`this browser does not decode ${this.#name}: ${textOf(cause)}`, cause);
    return new AffectLensError("video-malformed", `${this.#name} cannot be decoded: ${textOf(cause)}`, { cause });
  }
}

/**
 * How many seconds of sound a decoder gives before those that are meant: the `pre-skip` of Opus (RFC 7845, section 5.1).
 *
 * @param {import("mediabunny").InputAudioTrack} track
 */
async function delayOf(track) {
  if ((await track.getCodec()) !== "opus") return 0;
  const description = (await track.getDecoderConfig())?.description;
  if (!description || description.byteLength < OPUS_SKIP + 2) return 0;
  const head = ArrayBuffer.isView(description) ? new DataView(description.buffer, description.byteOffset, description.byteLength) : new DataView(description);
  return head.getUint16(OPUS_SKIP, true) / OPUS_RATE;
}

/** @param {Sample} sample */
function pictureOf(sample) {
  if (!sample.flip) return { image: sample.toVideoFrame(), turn: sample.rotation };
  const canvas = new OffscreenCanvas(sample.displayWidth, sample.displayHeight);
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw unsupported("the browser gives no 2d canvas to mirror frames with");
  sample.draw(context, 0, 0);
  return { image: canvas.transferToImageBitmap(), turn: 0 };
}

/**
 * The colours of a file: its matrix where it has one, else the one that the command line takes; primaries stay as they are
 * stored, since the command line does not convert them either.
 *
 * @param {VideoDecoderConfig} config
 * @returns {VideoColorSpaceInit}
 */
function colourSpaceOf({ colorSpace = {}, codedHeight = 0 }) {
  if (HIGH_RANGE.includes(colorSpace.transfer ?? "")) return colorSpace;
  const matrix = colorSpace.matrix ?? (codedHeight >= HIGH_DEFINITION_ROWS ? "bt709" : "smpte170m");
  return { matrix, primaries: "bt709", transfer: "iec61966-2-1", fullRange: colorSpace.fullRange ?? false };
}

/**
 * @param {number} failures
 * @returns {number | null} seconds
 */
function retryDelay(failures) {
  return failures > MOST_RETRIES ? null : RETRY_SECONDS;
}

/**
 * @param {string} message
 * @param {unknown} [cause]
 */
function unsupported(message, cause) {
  return new AffectLensError("video-unsupported", message, { cause });
}

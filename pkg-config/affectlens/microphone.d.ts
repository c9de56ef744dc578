/**
 * Opens a microphone as the lens hears best: without echo, and as loud and as noisy as it is. Rejects with `microphone-denied`,
 * `microphone-none`, `microphone-in-use`, `microphone-lost` (that device is gone) or `insecure-context`.
 *
 * ```js
 * const listening = await lens.listen(await openMicrophone(), { own: true });
 * ```
 */
export function openMicrophone(options?: MicrophoneOptions): Promise<MediaStream>;

export interface MicrophoneOptions {
  /** One of several; by default the browser's first. */
  deviceId?: string;
  /** Gives up; a microphone that opens after that is closed at once. */
  signal?: AbortSignal;
}

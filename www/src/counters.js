// @ts-check
// What tests read of the page: `window.__affectlens` shows counters and can change nothing.

/**
 * @param {{
 *   model: import("./model.js").Model,
 *   sources: import("./sources.js").Sources,
 *   session: import("./session.js").Session,
 *   sound: import("./sound.js").Sound,
 *   notices: import("./notices.js").Notices,
 *   countRequests: () => number | undefined,
 * }} page
 */
export function exposeCounters({ model, sources, session, sound, notices, countRequests }) {
  const read = () => {
    const { analysed, withFace, dropped, failed } = session.stats;
    return {
      analysed,
      withFace,
      dropped,
      failed,
      isLoaded: model.lens !== undefined,
      isWatching: session.isWatching,
      showing: sources.showing,
      sound: sound.counters,
      trouble: notices.state,
      device: model.lens?.device,
      violence: model.lens?.violence,
      settings: model.lens && { ...model.lens.settings },
      timings: model.lens?.timings,
      latencyMs: { p50: session.stats.latency(0.5), p95: session.stats.latency(0.95) },
      requests: countRequests(),
      latest: session.latest,
    };
  };
  const counters = Object.freeze({
    get counters() {
      return read();
    },
  });
  Object.defineProperty(window, "__affectlens", { value: counters });
}

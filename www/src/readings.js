// @ts-check
// Everything on the page that shows reports: the overlay and the panels.

import { byId } from "./elements.js";
import { FacesPanel } from "./faces.js";
import { drawReport } from "./overlay.js";
import { PeoplePanel } from "./people.js";
import { TRAIL_MS, ValenceArousalPanel, trailOf } from "./plane.js";
import { SpeechIndicator } from "./speech.js";
import { TimelinePanel, describeFace } from "./timeline.js";
import { ActionUnitPanel } from "./units.js";
import { ViolencePanel } from "./violence.js";

/**
 * @typedef {{
 *   showing: import("./sources.js").Showing,
 *   size: import("./stage.js").Size | undefined,
 *   clip: { durationSeconds: number, positionSeconds: number } | undefined,
 *   latest: import("./session.js").AnyReport | undefined,
 *   log: import("./log.js").ReportLog,
 *   sourceName: string,
 *   facts: import("affectlens").ViolenceFacts | null,
 *   threshold: number,
 *   hasMesh: boolean,
 *   hasSkeletons: boolean,
 *   isListening: boolean,
 * }} Reading what there is to show; `threshold` and `facts` are those of violence
 */

const IS_CALM = matchMedia("(prefers-reduced-motion: reduce)").matches;
/** Only the picture and the bars follow every frame; all else is drawn this often. */
export const REDRAW_EVERY_MS = IS_CALM ? 1000 : 250;
/** The size of a picture that does not know its own yet. */
const UNKNOWN_SIZE = { width: 4, height: 3 };

/** The overlay and the panels. */
export class Readings {
  #overlay = byId("overlay", HTMLCanvasElement);
  #faceTitles = document.querySelectorAll(".of-face");
  #faces;
  #plane = new ValenceArousalPanel(byId("plane"));
  #units = new ActionUnitPanel(byId("units"));
  #violence = new ViolencePanel(byId("violence"));
  #people = new PeoplePanel(byId("people"));
  #speech = new SpeechIndicator();
  #timeline;

  /** @param {{ onChoose: () => void, onSeek: (seconds: number) => void }} listeners `onChoose`: of a face or a view */
  constructor({ onChoose, onSeek }) {
    this.#faces = new FacesPanel(byId("faces"), onChoose);
    this.#timeline = new TimelinePanel(onChoose, onSeek);
  }

  /** Shows a new report. @param {Reading} reading */
  follow(reading) {
    this.#faces.show(reading.latest?.faces ?? []);
    this.drawOverlay(reading);
    if (!IS_CALM) this.#showPanels(reading);
  }

  /** Shows everything anew. @param {Reading} reading */
  redraw(reading) {
    const { latest, log, threshold, clip } = reading;
    if (!latest) this.#faces.clear(log.reports.length === 0);
    this.drawOverlay(reading);
    this.#showPanels(reading);
    const face = this.#faces.chosen;
    this.#timeline.show({ reports: log.reports, face, threshold, clip });
    for (const title of this.#faceTitles) title.textContent = describeFace(face);
  }

  /** @param {Reading} reading */
  drawOverlay(reading) {
    this.drawMarks(this.#overlay, reading);
  }

  /**
   * What lies over the picture, on any canvas of its shape.
   *
   * @param {HTMLCanvasElement} canvas
   * @param {Reading} reading
   */
  drawMarks(canvas, { showing, size = UNKNOWN_SIZE, latest, hasMesh, hasSkeletons }) {
    const picture = { ...size, isMirrored: showing === "camera", hasMesh, hasSkeletons };
    drawReport(canvas, picture, latest, this.#faces.chosen);
  }

  /**
   * The panels of the chosen face and of the whole picture.
   *
   * @param {Reading} reading
   */
  #showPanels({ showing, latest, log, facts, threshold, hasSkeletons, isListening }) {
    const { faces, time_ms } = latest ?? { faces: [], time_ms: 0 };
    const { chosen } = this.#faces;
    this.#plane.show(faces, chosen, trailOf(log.between(time_ms - TRAIL_MS, time_ms), chosen, time_ms));
    this.#units.show(faces.find(({ id }) => id === chosen));
    this.#people.isWanted = hasSkeletons;
    this.#people.show(hasSkeletons ? latest?.people : undefined);
    this.#violence.show(latest?.violence, { facts, threshold, isStill: showing === "still" });
    this.#speech.show(latest?.audio, isListening);
  }
}

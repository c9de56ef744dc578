// @ts-check
// Everything on the page that shows reports: the overlay and the panels.

import { byId } from "./elements.js";
import { FaceCards } from "./faces.js";
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
  #noFaces = byId("no-faces");
  #faceTitles = document.querySelectorAll(".of-face");
  #cards;
  #plane = new ValenceArousalPanel(byId("plane"));
  #units = new ActionUnitPanel(byId("units"));
  #violence = new ViolencePanel(byId("violence"));
  #people = new PeoplePanel(byId("people"));
  #speech = new SpeechIndicator();
  #timeline;

  /** @param {{ onChoose: () => void, onSeek: (seconds: number) => void }} listeners `onChoose`: of a face or a view */
  constructor({ onChoose, onSeek }) {
    this.#cards = new FaceCards(byId("faces"), onChoose);
    this.#timeline = new TimelinePanel(onChoose, onSeek);
  }

  /** Shows a new report. @param {Reading} reading */
  follow(reading) {
    const faces = reading.latest?.faces ?? [];
    this.#cards.show(faces);
    this.#noFaces.hidden = faces.length > 0;
    this.drawOverlay(reading);
    if (!IS_CALM) this.#showPanels(reading);
  }

  /** Shows everything anew. @param {Reading} reading */
  redraw(reading) {
    const { latest, log, threshold, clip } = reading;
    if (!latest) this.#cards.clear();
    this.#noFaces.hidden = Boolean(latest?.faces.length);
    this.drawOverlay(reading);
    this.#showPanels(reading);
    const face = this.#cards.chosen;
    this.#timeline.show({ reports: log.reports, face, threshold, clip });
    for (const title of this.#faceTitles) title.textContent = describeFace(face);
  }

  /** @param {Reading} reading */
  drawOverlay({ showing, size = UNKNOWN_SIZE, latest, hasMesh, hasSkeletons }) {
    const picture = { ...size, isMirrored: showing === "camera", hasMesh, hasSkeletons };
    drawReport(this.#overlay, picture, latest, this.#cards.chosen);
  }

  /**
   * The panels of the chosen face and of the whole picture.
   *
   * @param {Reading} reading
   */
  #showPanels({ showing, latest, log, facts, threshold, hasSkeletons, isListening }) {
    const { faces, time_ms } = latest ?? { faces: [], time_ms: 0 };
    const { chosen } = this.#cards;
    this.#plane.show(faces, chosen, trailOf(log.between(time_ms - TRAIL_MS, time_ms), chosen, time_ms));
    this.#units.show(faces.find(({ id }) => id === chosen));
    this.#people.isWanted = hasSkeletons;
    this.#people.show(hasSkeletons ? latest?.people : undefined);
    this.#violence.show(latest?.violence, { facts, threshold, isStill: showing === "still" });
    this.#speech.show(latest?.audio, isListening);
  }
}

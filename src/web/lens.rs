//! A model and its stream of pictures, for JavaScript.

use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::{WeightFiles, Workers, error::failure, open_device, to_js};
use crate::{
    controls::Controls,
    device::{DeviceKind, OpenedDevice},
    error::LensError,
    frame::Frame,
    label::Expression,
    lens::{self, LensWeights, NeutralSpan},
    name::find,
    personal::PersonalHead,
    planes::Planes,
    report::ByExpression,
    role::Role,
    sound::{LiveSound, SoundWeights},
    task::Tasks,
    violence::ViolenceLens,
};

/// A device and the networks on it.
#[wasm_bindgen]
pub struct Lens {
    device: OpenedDevice,
    lens: lens::Lens,
    sound: Option<LiveSound>,
    /// Controls for files: those that the weights were tuned for.
    for_files: Controls,
    /// Controls of the live stream, while a file is analysed.
    live: Option<Controls>,
}

#[wasm_bindgen]
impl Lens {
    /// Opens `device` ("auto", "webgpu" or "cpu") and builds the networks that `tasks` need from `files`; with a `voice` among
    /// them sound can be heard too. On the CPU `workers` run them, if given and once started; else this module does, with one
    /// thread. Of a picture's people at most `people` are reported. `workgroup_tiles` is what [`device`](Self::device) said
    /// of the same GPU before: it is not tried out again.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn open(
        device: String,
        tasks: Vec<String>,
        files: WeightFiles,
        workers: Option<Workers>,
        people: u16,
        workgroup_tiles: Option<bool>,
    ) -> Result<Self, JsValue> {
        let tasks = Tasks::from_names(tasks.iter().map(String::as_str))?;
        let weights = LensWeights::read(tasks, |role| files.take(role), |_, file| file)?;
        let sound = SoundWeights::read(|role| files.take(role), |_, file| file)?;
        drop(files);
        let device = open_device(&device, workers, workgroup_tiles).await?;
        let mut lens = lens::Lens::load(weights, tasks, &device).await?;
        let for_files = lens.controls();
        lens.configure(lens.live_controls())?;
        lens.look_for(people.into());
        let sound = sound.map(|weights| LiveSound::load(weights, &device));
        let sound = sound.transpose()?;
        Ok(Self {
            device,
            lens,
            sound,
            for_files,
            live: None,
        })
    }

    /// `{ kind, adapter, fallback, workgroupTiles }` of the open device; the last is the form of a GPU's kernels.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Device<'a> {
            kind: DeviceKind,
            adapter: &'a str,
            fallback: Option<&'a str>,
            workgroup_tiles: bool,
        }
        to_js(&Device {
            kind: self.device.kind,
            adapter: &self.device.adapter,
            fallback: self.device.fallback.as_deref(),
            workgroup_tiles: self.device.kernels.workgroup_tiles,
        })
    }

    /// The networks that detect violence, and how long their window is; `null` without that task.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn violence(&self) -> Result<JsValue, JsValue> {
        to_js(&self.lens.violence().map(ViolenceLens::facts))
    }

    /// What is heard, `{ speech, expression, windowMs }`; `null` without files for sound.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn sound(&self) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Heard {
            speech: bool,
            expression: bool,
            window_ms: Option<f64>,
        }
        to_js(&self.sound.as_ref().map(|sound| Heard {
            speech: true,
            expression: sound.window_ms().is_some(),
            window_ms: sound.window_ms(),
        }))
    }

    /// Hears the next samples, mono, 16 kHz, -1 to 1, of which the first is of the time `time_ms` on the clock of the
    /// frames; ten seconds at most. Reports on frames from now on say what was heard at their time.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `bad-argument`.
    pub async fn hear(&mut self, samples: Vec<f32>, time_ms: f64) -> Result<(), JsValue> {
        match &mut self.sound {
            Some(sound) => Ok(sound.hear(&samples, time_ms).await?),
            None => Err(failure(
                "bad-argument",
                "sound is not listened to: no `voice` was among the files",
            )),
        }
    }

    /// The controls in force, `{ faces, violence }`; those of a part that is not there have no effect.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn settings(&self) -> Result<JsValue, JsValue> {
        to_js(&self.lens.controls())
    }

    /// Replaces the controls, all of them, from the next frame on.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `bad-argument`.
    pub fn configure(&mut self, settings: JsValue) -> Result<(), JsValue> {
        let refuse = |reason: String| failure("bad-argument", &format!("settings: {reason}"));
        // Through a JSON value, which refuses fields that there are not.
        let settings: Value =
            serde_wasm_bindgen::from_value(settings).map_err(|error| refuse(error.to_string()))?;
        let controls: Controls =
            serde_json::from_value(settings).map_err(|error| refuse(error.to_string()))?;
        Ok(self.lens.configure(controls)?)
    }

    /// The report on the next frame of the stream; `rgba` has `width * height * 4` bytes.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn analyze(
        &mut self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
        time_ms: f64,
    ) -> Result<JsValue, JsValue> {
        let frame = Frame::from_rgba(width, height, &rgba)?;
        let sound = self.sound.as_ref();
        let gla = self.lens.controls().faces.gla;
        self.lens
            .hear(sound.and_then(|sound| sound.at(time_ms, gla)));
        let report = self.lens.analyze(&frame, time_ms).await;
        self.report(report)
    }

    /// Begins a file: the stream so far is forgotten, and the controls are those that the command line begins with, until
    /// [`Self::end_file`].
    ///
    /// # Errors
    ///
    /// None in practice.
    #[wasm_bindgen(js_name = beginFile)]
    pub fn begin_file(&mut self) -> Result<(), JsValue> {
        let live = self.lens.controls();
        self.reset();
        self.live.get_or_insert(live);
        Ok(self.lens.configure(self.for_files.clone())?)
    }

    /// Takes the next frame of a file, turned clockwise by so many quarters; gives the reports that are complete now, in the
    /// order of their frames: centred windows, final probabilities of violence.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn push(
        &mut self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
        quarters: u16,
        time_ms: f64,
    ) -> Result<JsValue, JsValue> {
        let frame = Frame::from_rgba(width, height, &rgba)?;
        self.push_frame(frame.turned(quarters), time_ms).await
    }

    /// The same with a frame as it was decoded; `layout` says where its [`Planes`] lie in `bytes`.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    #[wasm_bindgen(js_name = pushPlanes)]
    pub async fn push_planes(
        &mut self,
        layout: JsValue,
        bytes: Vec<u8>,
        quarters: u16,
        time_ms: f64,
    ) -> Result<JsValue, JsValue> {
        let planes: Planes = serde_wasm_bindgen::from_value(layout)
            .map_err(|error| failure("bad-argument", &format!("planes: {error}")))?;
        let frame = planes.to_frame(&bytes)?;
        drop(bytes);
        self.push_frame(frame.turned(quarters), time_ms).await
    }

    /// Gives the reports of a file that were left when its last frame had come.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn finish(&mut self) -> Result<JsValue, JsValue> {
        let reports = self.lens.finish().await;
        self.report(reports)
    }

    /// Ends a file, whether it was finished or not: a live stream begins under its own controls.
    ///
    /// # Errors
    ///
    /// None in practice.
    #[wasm_bindgen(js_name = endFile)]
    pub fn end_file(&mut self) -> Result<(), JsValue> {
        self.reset();
        match self.live.take() {
            Some(live) => Ok(self.lens.configure(live)?),
            None => Ok(()),
        }
    }

    /// The report on a picture that belongs to no stream; the stream so far is forgotten.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    #[wasm_bindgen(js_name = analyzeSingle)]
    pub async fn analyze_single(
        &mut self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
    ) -> Result<JsValue, JsValue> {
        let frame = Frame::from_rgba(width, height, &rgba)?;
        let report = self.lens.analyze_single(&frame).await;
        self.report(report)
    }

    /// The expression of a face that fills the picture.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    #[wasm_bindgen(js_name = analyzeFace)]
    pub async fn analyze_face(
        &self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
    ) -> Result<JsValue, JsValue> {
        let crop = Frame::from_rgba(width, height, &rgba)?;
        let report = self.lens.analyze_face(&crop).await;
        self.report(report)
    }

    /// Takes what each face shows in the next `seconds` of the stream as its neutral look; without a number forgets all
    /// neutral looks.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `bad-argument`.
    pub fn calibrate(&mut self, seconds: Option<f64>) -> Result<(), JsValue> {
        let span = seconds.map(|seconds| NeutralSpan::next(seconds * 1000.0));
        Ok(self.lens.calibrate(span.transpose()?)?)
    }

    /// Learns that the only face of the newest picture shows the expression `label`; `{ neutral: 3, .. }`, the faces that
    /// were learnt of each.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `bad-argument`.
    pub fn learn(&mut self, label: &str) -> Result<JsValue, JsValue> {
        let label = find("expression", label, &Expression::ALL, Expression::name)?;
        to_js(&ByExpression(self.lens.learn(label)?))
    }

    /// Makes a personal head of what was learnt and puts it in force; `{ faces, before, after }`.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `bad-argument`.
    pub fn personalise(&mut self) -> Result<JsValue, JsValue> {
        to_js(&self.lens.personalise()?)
    }

    /// The file of the personal head in force.
    #[must_use]
    #[wasm_bindgen(js_name = personalFile)]
    pub fn personal_file(&self) -> Option<Vec<u8>> {
        self.lens.personal().map(PersonalHead::to_file)
    }

    /// Puts a personal head from its file in force; without one forgets that in force, and what was learnt.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `weights-malformed`.
    #[wasm_bindgen(js_name = setPersonal)]
    pub fn set_personal(&mut self, file: Option<Vec<u8>>) -> Result<(), JsValue> {
        Ok(self.lens.set_personal(file.as_deref())?)
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.lens.reset();
        if let Some(sound) = &mut self.sound {
            sound.reset();
        }
    }
}

impl Lens {
    async fn push_frame(&mut self, frame: Frame, time_ms: f64) -> Result<JsValue, JsValue> {
        let reports = self.lens.push(&frame, time_ms).await;
        self.report(reports)
    }

    /// A report, unless the device was lost meanwhile: whatever was read from it then is not a result.
    fn report(&self, report: Result<impl Serialize, LensError>) -> Result<JsValue, JsValue> {
        self.device.check()?;
        to_js(&report?)
    }
}

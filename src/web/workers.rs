//! The workers of the npm package, which run networks on the CPU.

use std::sync::Arc;

use wasm_bindgen::prelude::{JsCast, JsValue, wasm_bindgen};

use crate::device::CpuWorkers;

#[wasm_bindgen]
extern "C" {
    /// `CpuWorkers` of `cpu.js`.
    #[derive(Debug)]
    pub type Workers;

    /// Whether they are ready to run programs.
    #[wasm_bindgen(method)]
    async fn start(this: &Workers) -> JsValue;

    #[wasm_bindgen(method, getter)]
    fn threads(this: &Workers) -> usize;

    #[wasm_bindgen(method)]
    fn reserve(this: &Workers, words: usize) -> Option<u32>;

    #[wasm_bindgen(method)]
    fn write(this: &Workers, program: u32, start: usize, words: &[u32]);

    #[wasm_bindgen(method, catch)]
    fn run(
        this: &Workers,
        program: u32,
        batch: usize,
        input: &[f32],
        output: &mut [f32],
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(method)]
    fn free(this: &Workers, program: u32);
}

impl Workers {
    pub(super) async fn started(self) -> Option<Arc<dyn CpuWorkers>> {
        let is_ready = self.start().await.is_truthy();
        is_ready.then(|| Arc::new(self) as Arc<dyn CpuWorkers>)
    }
}

impl CpuWorkers for Workers {
    fn threads(&self) -> usize {
        self.threads()
    }

    fn reserve(&self, words: usize) -> Option<u32> {
        self.reserve(words)
    }

    fn write(&self, program: u32, start: usize, words: &[u32]) {
        self.write(program, start, words);
    }

    fn run(&self, program: u32, batch: usize, input: &[f32], output: &mut [f32]) {
        if let Err(error) = self.run(program, batch, input, output) {
            let error = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
            let reason = error.map_or_else(|| "a worker trapped".to_owned(), String::from);
            panic!("a network failed on the CPU: {reason}");
        }
    }

    fn free(&self, program: u32) {
        self.free(program);
    }
}

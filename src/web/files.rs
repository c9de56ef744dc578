//! Weights that have come, for JavaScript.

use std::{cell::RefCell, collections::HashMap};

use js_sys::Uint8Array;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::parse;
use crate::{name::find, role::Role, weights::Weights};

/// What has been read so far: each file while others are still on their way.
#[wasm_bindgen]
#[derive(Default)]
pub struct WeightFiles {
    read: RefCell<HashMap<Role, Result<Weights, JsValue>>>,
}

#[wasm_bindgen]
impl WeightFiles {
    /// None yet.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the safetensors file of a role; one that came before is replaced. A file that is none is told of where it is needed,
    /// after those that are missing.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`, for an unknown role.
    pub fn add(&self, role: &str, bytes: &Uint8Array) -> Result<(), JsValue> {
        let role = find("role", role, &Role::ALL, Role::name)?;
        let file = parse(role.name(), bytes);
        self.read.borrow_mut().insert(role, file);
        Ok(())
    }
}

impl WeightFiles {
    /// The file of a role, once.
    pub(super) fn take(&self, role: Role) -> Option<Result<Weights, JsValue>> {
        self.read.borrow_mut().remove(&role)
    }
}

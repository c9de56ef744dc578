//! Errors as JavaScript sees them: an `Error` with the same text, and a code that stays.

use js_sys::{Error, Reflect};
use wasm_bindgen::prelude::JsValue;

use crate::{
    device::DeviceError, error::LensError, frame::FrameError, name::UnknownName,
    network::NetworkError,
};

impl From<LensError> for JsValue {
    fn from(error: LensError) -> Self {
        let message = match &error {
            LensError::Control(refused) => {
                let control = &refused.control;
                let name = format!("{}.{}", control.part, control.javascript_name());
                refused.naming(&name)
            }
            _ => error.to_string(),
        };
        failure(error.code(), &message)
    }
}

impl From<DeviceError> for JsValue {
    fn from(error: DeviceError) -> Self {
        failure(error.code(), &error.to_string())
    }
}

impl From<NetworkError> for JsValue {
    fn from(error: NetworkError) -> Self {
        let code = match &error {
            NetworkError::Weights(_) => "weights-malformed",
            NetworkError::Input { .. } => "picture-size",
            NetworkError::Device(error) => error.code(),
            NetworkError::ReadBack { .. } => "device-failed",
        };
        failure(code, &error.to_string())
    }
}

impl From<FrameError> for JsValue {
    fn from(error: FrameError) -> Self {
        failure("picture-size", &error.to_string())
    }
}

impl From<UnknownName> for JsValue {
    fn from(error: UnknownName) -> Self {
        failure("bad-argument", &error.to_string())
    }
}

/// An `Error` with a code.
pub(super) fn failure(code: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    // Setting a field of a fresh object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

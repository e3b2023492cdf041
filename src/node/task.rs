//! Owns work off the event loop's thread: one job on libuv's pool, one promise.

use super::error::{catch_panic, to_javascript};
use crate::error::{Error, Result};
use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Task};

type Work<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// Work that yields a `T`; `operation` is the public method's name.
pub struct Job<T> {
    operation: String,
    work: Option<Work<T>>,
}

impl<T: Send + ToNapiValue + TypeName + 'static> Job<T> {
    pub(super) fn start(
        operation: impl Into<String>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> AsyncTask<Self> {
        AsyncTask::new(Self {
            operation: operation.into(),
            work: Some(Box::new(work)),
        })
    }
}

impl<T: Send + ToNapiValue + TypeName + 'static> Task for Job<T> {
    type Output = Result<T>;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        // A failure travels as a value: only the event loop's thread can build its object.
        Ok(match self.work.take() {
            Some(work) => catch_panic(work),
            None => Err(Error::Internal("a job was started twice".into())),
        })
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<T> {
        output.map_err(|error| to_javascript(&env, &self.operation, &error))
    }
}

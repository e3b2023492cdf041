//! Owns the list of the functions that run statements, and how they are called. Each belongs to
//! one connection, which it keeps alive.
//!
//! The first argument is the statement's number and, in its three low bits, flags; the
//! parameters follow, one by one or as an array.

#![allow(unsafe_code)]

use super::connection::Shared;
use super::error::Failure;
use super::function::{self, callback};
use super::parameter::Parameters;
use super::value::check;
use napi::{Env, sys};
use std::ptr;
use std::rc::Rc;

/// How many arguments are taken one by one, the statement's number included.
const MAX_ARGUMENTS: usize = 34;

/// Which statement to run, and how.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) id: u64,
    /// Whether integers become bigints.
    pub(super) big_integers: bool,
    /// Whether the parameters were given by name, for errors.
    pub(super) is_named: bool,
    /// Whether the parameters come as an array, being too many.
    is_list: bool,
}

impl Key {
    fn new(number: f64) -> Self {
        let number = number as u64;
        Self {
            id: number >> 3,
            big_integers: number & 1 != 0,
            is_named: number & 2 != 0,
            is_list: number & 4 != 0,
        }
    }
}

/// A running call, with its connection.
pub(super) type Call<'a> = function::Call<'a, Shared, MAX_ARGUMENTS>;

impl Call<'_> {
    fn number(&self, index: usize) -> Result<f64, Failure> {
        let mut number = 0.0;
        // SAFETY: the handles belong to the call that is running.
        check(self.env, unsafe {
            sys::napi_get_value_double(self.env, self.value(index), &raw mut number)
        })?;
        Ok(number)
    }

    pub(super) fn key(&self) -> Result<Key, Failure> {
        self.number(0).map(Key::new)
    }

    pub(super) fn cursor(&self) -> Result<u64, Failure> {
        Ok(self.number(0)? as u64)
    }

    pub(super) fn batch(&self) -> Result<u64, Failure> {
        Ok(self.number(1)? as u64)
    }

    pub(super) fn limit(&self) -> Result<usize, Failure> {
        Ok(self.number(1)? as usize)
    }

    /// Reads the parameters; a refusal names them by position, unless it could say better.
    pub(super) fn read_parameters(
        &self,
        key: Key,
        into: &mut Parameters,
    ) -> Result<(), (usize, Failure)> {
        into.clear();
        let values = self.given().get(1..).unwrap_or_default();
        if key.is_list
            && let [list] = values
        {
            return self.read_list(*list, into);
        }
        for (index, value) in values.iter().enumerate() {
            into.push(self.env, *value)
                .map_err(|failure| (index, failure))?;
        }
        Ok(())
    }

    fn read_list(
        &self,
        list: sys::napi_value,
        into: &mut Parameters,
    ) -> Result<(), (usize, Failure)> {
        let mut length = 0;
        // SAFETY: the handles belong to the call that is running.
        check(self.env, unsafe {
            sys::napi_get_array_length(self.env, list, &raw mut length)
        })
        .map_err(|failure| (0, failure))?;
        for index in 0..length {
            let mut value = ptr::null_mut();
            // SAFETY: as above. The array is one of `lib/statement.js`, without getters.
            check(self.env, unsafe {
                sys::napi_get_element(self.env, list, index, &raw mut value)
            })
            .and_then(|()| into.push(self.env, value))
            .map_err(|failure| (index as usize, failure))?;
        }
        Ok(())
    }
}

/// Makes the object of a connection's functions.
pub(super) fn functions(env: &Env, shared: &Rc<Shared>) -> napi::Result<sys::napi_value> {
    use super::{run_many, statement as work};
    let callbacks = [
        (c"get", callback!("get", work::get)),
        (c"all", callback!("all", work::all)),
        (c"run", callback!("run", work::run)),
        (c"more", callback!("all", work::more)),
        (c"iterate", callback!("iterate", work::iterate)),
        (c"next", callback!("iterate", work::next)),
        (c"end", callback!("iterate", work::end)),
        (c"stage", callback!("runMany", run_many::stage)),
        (c"discard", callback!("runMany", run_many::discard)),
        (c"runMany", callback!("runMany", run_many::run_many)),
    ];
    // SAFETY: the environment is that of the running call, and all work is on this `Shared`.
    unsafe { function::object(env.raw(), &callbacks, shared) }
}

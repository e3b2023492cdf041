//! Owns handing packed rows over to JavaScript.

#![allow(unsafe_code)]

use crate::packed_row::{PackedRows, RowPacker};
use napi::bindgen_prelude::ToNapiValue;
use napi::{check_status, sys};
use std::ptr;

impl RowPacker {
    /// Gives what was packed to JavaScript: the string alone, with the codes where `codes` is,
    /// when they fit and there are no blobs; else a chunk with arrays of its own.
    ///
    /// # Safety
    ///
    /// `env` is the environment of the running call, and the one of `codes`.
    pub(super) unsafe fn deliver(
        &mut self,
        env: sys::napi_env,
        codes: Codes,
    ) -> napi::Result<sys::napi_value> {
        // SAFETY: as this function's caller says.
        unsafe {
            if self.blobs().is_empty() && codes.write(self.codes()) {
                self.text_to_napi(env)
            } else {
                PackedRows::to_napi_value(env, self.finish())
            }
        }
    }

    /// Makes the string of the chunk's texts.
    ///
    /// # Safety
    ///
    /// `env` is the environment of the running call.
    unsafe fn text_to_napi(&self, env: sys::napi_env) -> napi::Result<sys::napi_value> {
        let mut string = ptr::null_mut();
        let (start, length) = (self.text().as_ptr().cast(), self.text().len() as isize);
        // SAFETY: the pointer and the length are those of the packed text, which V8 copies; it
        // is ASCII, and so Latin-1 too, or valid UTF-8, as each cell was checked.
        check_status!(unsafe {
            if self.is_ascii() {
                sys::napi_create_string_latin1(env, start, length, &raw mut string)
            } else {
                sys::napi_create_string_utf8(env, start, length, &raw mut string)
            }
        })?;
        Ok(string)
    }
}

/// Where the codes of results go whose decoder runs at once: an array that JavaScript owns and
/// reads before it calls again, so that small results need none of their own.
#[derive(Clone, Copy)]
pub(super) struct Codes {
    data: *mut i32,
    length: usize,
}

impl Codes {
    /// # Safety
    ///
    /// `data` is where the environment's array of `length` numbers lies as long as it lives; no
    /// other thread uses it.
    pub(super) unsafe fn new(data: *mut i32, length: usize) -> Self {
        Self { data, length }
    }

    /// Writes codes from the array's start, if there is room beside the flag at its end.
    pub(super) fn write(self, codes: &[i32]) -> bool {
        let fits = codes.len() < self.length;
        if fits {
            // SAFETY: there is room, as was just seen, and JavaScript does not run meanwhile.
            unsafe { ptr::copy_nonoverlapping(codes.as_ptr(), self.data, codes.len()) };
        }
        fits
    }

    /// Writes doubles, or 64-bit integers, in the machine's order.
    pub(super) fn write_wide(self, numbers: [u64; 2]) {
        let codes = numbers.map(|bits| [bits as u32 as i32, (bits >> 32) as u32 as i32]);
        self.write(codes.as_flattened());
    }

    /// Says in the array's last number whether there are more rows.
    pub(super) fn write_more(self, more: bool) {
        if self.length > 0 {
            // SAFETY: the index is inside the array; JavaScript does not run meanwhile.
            unsafe { self.data.add(self.length - 1).write(i32::from(more)) };
        }
    }
}

/// Copies bytes into a new typed array, whose memory is JavaScript's own: memory of ours under
/// one is refused by some runtimes (Electron).
///
/// # Safety
///
/// `env` is the environment of the running call, `kind` that of elements of `size` bytes.
pub(super) unsafe fn typed_array(
    env: sys::napi_env,
    kind: sys::napi_typedarray_type,
    bytes: *const u8,
    length: usize,
    size: usize,
) -> napi::Result<sys::napi_value> {
    let (mut data, mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the new buffer is `length * size` bytes long, as many as are copied into it; a
    // buffer of no bytes may be null, and then nothing is.
    unsafe {
        check_status!(sys::napi_create_arraybuffer(
            env,
            length * size,
            &raw mut data,
            &raw mut buffer
        ))?;
        if length > 0 {
            ptr::copy_nonoverlapping(bytes, data.cast::<u8>(), length * size);
        }
        check_status!(sys::napi_create_typedarray(
            env,
            kind,
            length,
            buffer,
            0,
            &raw mut array
        ))?;
    }
    Ok(array)
}

impl ToNapiValue for PackedRows {
    unsafe fn to_napi_value(env: sys::napi_env, rows: Self) -> napi::Result<sys::napi_value> {
        let packer = rows.into_packer();
        let (codes, blobs) = (packer.codes(), packer.blobs());
        let mut result = ptr::null_mut();
        // SAFETY: `env` is the environment of the running call, handed on as it came.
        unsafe {
            let text = packer.text_to_napi(env)?;
            let codes = typed_array(
                env,
                sys::TypedarrayType::int32_array,
                codes.as_ptr().cast(),
                codes.len(),
                size_of::<i32>(),
            )?;
            check_status!(sys::napi_create_array_with_length(
                env,
                if blobs.is_empty() { 2 } else { 3 },
                &raw mut result
            ))?;
            check_status!(sys::napi_set_element(env, result, 0, text))?;
            check_status!(sys::napi_set_element(env, result, 1, codes))?;
            if !blobs.is_empty() {
                let kind = sys::TypedarrayType::uint8_array;
                let blobs = typed_array(env, kind, blobs.as_ptr(), blobs.len(), 1)?;
                check_status!(sys::napi_set_element(env, result, 2, blobs))?;
            }
        }
        Ok(result)
    }
}

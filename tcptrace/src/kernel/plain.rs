//! Values of the ABI as aya wants them.

use aya::Pod;
use tcptrace_common::Wire;

/// A value of the ABI, as key or value of a map.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: `Wire` promises integers and byte arrays without padding.
unsafe impl<T: Wire> Pod for Plain<T> {}

//! What a handler is given.

use crate::params::Params;
use crate::tx::Tx;

/// One call as a handler gets it: its path's id and its parameters, within one unit of work.
pub struct Call<'a> {
    pub tx: &'a Tx<'a>,
    pub id: &'a str,
    pub params: Params,
}

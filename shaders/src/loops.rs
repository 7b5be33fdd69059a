//! Whether a model has loops that could be endless.

use crate::{Consts, ModelSource, link};

impl ModelSource {
    /// Whether it is a user's text with loops, which engines end after [`MOST_ITERATIONS`](crate::MOST_ITERATIONS).
    pub fn may_loop(&self) -> bool {
        matches!(self, ModelSource::User { .. })
            && link("custom/calls.wgsl", &Consts::new(), Some(self))
                .is_ok_and(|linked| linked.has_users_loop())
    }
}

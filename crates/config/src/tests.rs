//! Tests of the crate as a whole, by area.

mod images;

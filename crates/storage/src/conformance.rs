//! What every driver must do, as a suite of tests.

//! The `filesystem` driver.

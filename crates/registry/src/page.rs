//! Pages of names.

/// Which part of a sorted list is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// At most this many; `None` for all.
    pub limit: Option<usize>,
    /// Only what sorts behind this, which need not exist.
    pub last: Option<&'a str>,
}

/// A part of a sorted list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The names.
    pub names: Vec<String>,
    /// Whether there is at least one more behind them. Never set for a page of none.
    pub more: bool,
}

impl Names {
    /// Takes one more name unless the page is full, in which case it notes that there are more.
    /// Returns whether the page still wants names.
    pub(crate) fn offer(&mut self, page: Page<'_>, name: impl Into<String>) -> bool {
        if page.limit.is_some_and(|limit| self.names.len() >= limit) {
            self.more = page.limit != Some(0);
            return false;
        }
        self.names.push(name.into());
        true
    }
}

//! Scans: the durable tier's page with the outbox's pending versions laid over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::read::{Freshness, means_away};
use crate::error::Result;
use crate::store::query::{Order, Page, Scan};
use crate::store::record::{Key, Record};
use crate::store::traits::Outbox;

impl Engine {
    /// Returns one page, and its freshness. While the durable tier is away the page has the records that this
    /// machine knows, marked as stale.
    ///
    /// # Errors
    /// `InvalidInput` for an undeclared column or a limit of 0; `Corrupt` and `Io` from either tier.
    pub async fn scan_fresh(&self, scan: &Scan) -> Result<(Page, Freshness)> {
        scan.validate()?;
        let shared = &self.shared;
        shared.ready().await?;
        let now = shared.now();
        // Pending versions are read first: a row that is sent and trimmed in between is then seen twice, not
        // never.
        let pending = match shared.outbox() {
            Some(outbox) if outbox.usage().rows > 0 => {
                let asked = scan.clone();
                let pending = move |outbox: &dyn Outbox| outbox.pending_scan(&asked, pending_limit(&asked));
                shared.ask_outbox_here(pending).await?.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let (page, freshness) = match shared.durable.scan(scan).await {
            Ok(page) => (page, Freshness::Fresh),
            Err(error) if shared.outbox().is_some() && means_away(&error) => {
                shared.cache_writer.settle().await;
                let since = crate::id::lock(&shared.progress).last_sync;
                let age = since.map_or(Duration::ZERO, |since| now.since(since));
                (shared.tiers.cache.scan(scan).await?, Freshness::Stale { age })
            }
            Err(error) => return Err(error),
        };
        let mut page = overlay(scan, page, pending);
        let unreadable = |id: &Arc<str>| Key::new(&scan.namespace, scan.kind, id.clone()).to_string();
        for id in &page.unreadable {
            shared.unreadable.note(unreadable(id), &"it does not decode");
        }
        page.records.retain(|record| {
            if let Err(error) = shared.check_stored(&record.key, record.revision, false) {
                shared.unreadable.note(unreadable(&record.key.id), &error);
                page.unreadable.push(record.key.id.clone());
                return false;
            }
            shared.note_read(Some(record));
            !record.is_expired(now)
        });
        Ok((page, freshness))
    }
}

/// How many pending versions are laid over one page: a long outage must not make each page read all of them.
fn pending_limit(scan: &Scan) -> usize {
    scan.limit.saturating_mul(2).max(256)
}

/// Lays pending versions over a page of the durable tier.
fn overlay(scan: &Scan, mut page: Page, pending: Vec<Record>) -> Page {
    if pending.is_empty() {
        return page;
    }
    if pending.len() == pending_limit(scan)
        && let Some(last) = pending.last()
    {
        // There may be more pending versions after the last one: they belong to the next page.
        let end = last.key.id.clone();
        let reached = |id: &str| match scan.order {
            Order::Ascending => id <= end.as_ref(),
            Order::Descending => id >= end.as_ref(),
        };
        page.records.retain(|record| reached(&record.key.id));
        if page.next.as_deref().is_none_or(|next| !reached(next)) {
            page.next = Some(end.clone());
        }
    }
    let mut merged: BTreeMap<_, Record> =
        page.records.into_iter().map(|record| (record.key.id.clone(), record)).collect();
    // After the page's last id the durable tier may have records that belong between pending ones.
    let within = |id: &str| match (&page.next, scan.order) {
        (None, _) => true,
        (Some(last), Order::Ascending) => id <= last.as_ref(),
        (Some(last), Order::Descending) => id >= last.as_ref(),
    };
    for record in pending {
        if !scan.admits_id(&record.key.id) || !within(&record.key.id) {
            continue;
        }
        if merged.get(&record.key.id).is_some_and(|held| held.supersedes(&record)) {
            continue;
        }
        if scan.admits(&record) {
            merged.insert(record.key.id.clone(), record);
        } else {
            merged.remove(&record.key.id);
        }
    }
    let mut records: Vec<Record> = merged.into_values().collect();
    if scan.order == Order::Descending {
        records.reverse();
    }
    let durable_next = page.next;
    let cut = Page::cut(records, scan.limit);
    let next = cut.next.or(durable_next);
    // Records after the page's end are read again by the next page, and pending ones are readable.
    page.unreadable.retain(|id| next.as_deref().is_none_or(|end| scan.order.reaches(id, end)));
    Page { next, records: cut.records, unreadable: page.unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kind::Kind;
    use crate::store::fixtures::{episode, record};
    use crate::store::record::Namespace;

    fn live(id: &str, clock: u64) -> Record {
        record(&Namespace::default(), id, clock, Some(episode(1)))
    }

    fn dead(id: &str, clock: u64) -> Record {
        record(&Namespace::default(), id, clock, None)
    }

    #[test]
    fn pending_versions_are_laid_over_the_page() {
        let check = |order,
                     limit,
                     durable: (&[&str], Option<&str>),
                     pending: &[Record],
                     expected: (&[&str], Option<&str>)| {
            let scan = Scan::new(&Namespace::default(), Kind::Episode).order(order).limit(limit);
            let page = Page {
                records: durable.0.iter().map(|id| live(id, 5)).collect(),
                next: durable.1.map(Into::into),
                unreadable: Vec::new(),
            };
            let merged = overlay(&scan, page, pending.to_vec());
            let ids: Vec<&str> = merged.records.iter().map(|record| record.key.id.as_ref()).collect();
            assert_eq!((ids.as_slice(), merged.next.as_deref()), expected);
        };
        use Order::{Ascending, Descending};
        check(Ascending, 3, (&["a", "c"], None), &[live("b", 1)], (&["a", "b", "c"], None));
        check(Ascending, 2, (&["a", "c"], Some("c")), &[live("b", 1)], (&["a", "b"], Some("b")));
        check(Ascending, 2, (&["a", "c"], Some("c")), &[live("d", 1)], (&["a", "c"], Some("c")));
        check(Ascending, 2, (&["a", "c"], Some("c")), &[dead("a", 9)], (&["c"], Some("c")));
        check(Ascending, 2, (&["a", "c"], None), &[dead("a", 1)], (&["a", "c"], None));
        check(Descending, 2, (&["d", "b"], Some("b")), &[live("c", 1)], (&["d", "c"], Some("c")));
        check(Descending, 2, (&["d", "b"], Some("b")), &[live("a", 1)], (&["d", "b"], Some("b")));
        check(Ascending, 1, (&[], None), &[live("a", 1), live("b", 1)], (&["a"], Some("a")));
        let many: Vec<Record> = (0..256).map(|i| dead(&format!("m{i:03}"), 9)).collect();
        check(Ascending, 3, (&["a", "m007", "z"], None), &many, (&["a"], Some("m255")));
    }
}

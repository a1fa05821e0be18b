//! A shard as part of a snapshot: its documents, its terms, and which document has which term.
//!
//! The snapshot's layout allows reading in place, see [`Frozen`]: of the parts that grow with the number of
//! documents, reading copies only lengths and the order of the episodes.

use std::ops::Range;
use std::sync::Arc;

use memory_core::{Kind, Namespace, Timestamp};

use super::{Dictionary, Entries, Frozen, Shard};
use crate::Table;
use crate::document::Field;
use crate::lexical::bytes::{Numbered, Reader, Writer};
use crate::lexical::census::ToolFigures;
use crate::lexical::entry::{Entry, State, TermRef};
use crate::lexical::frozen::{Lookup, Numbers, Slices, hash};
use crate::lexical::tasks::Tasks;
use crate::tasks::TaskFigures;
use crate::tokenize::stem;

/// The number of a slot that is free.
const FREE: u32 = u32::MAX;

impl Shard {
    /// Appends the shard; `tasks` has the statistics of its episodes. `None` if a part is too large for its
    /// offsets.
    pub(in crate::lexical) fn write_snapshot(
        &self,
        tasks: Option<&TaskFigures>,
        snapshot: &mut Writer,
    ) -> Option<()> {
        for field in Field::ALL {
            snapshot.number(self.weight(field).into());
        }
        // Slots without the free ones, in order of ids: the snapshot of a shard does not depend on the history
        // of its slots.
        let mut order: Vec<(u32, &Entry)> = self.entries.iter().collect();
        order.sort_unstable_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        let mut slots = vec![FREE; self.slots() as usize];
        for ((slot, _), number) in order.iter().zip(0..) {
            slots[*slot as usize] = number;
        }
        snapshot.number(order.len() as u64);
        self.write_labels(snapshot);
        self.write_census(&slots, snapshot);
        snapshot.numbers(order.iter().map(|(slot, _)| self.lengths[*slot as usize]));
        let mut states = Writer::default();
        order.iter().for_each(|(_, entry)| states.fixed(&[number_of(entry.state)]));
        snapshot.section(&states);
        self.write_records(&order, tasks, snapshot)?;
        self.write_terms(&order, &slots, snapshot)
    }

    fn write_labels(&self, snapshot: &mut Writer) {
        let labels = self.labels.all();
        snapshot.number(labels.len() as u64);
        for (label, uses) in labels {
            snapshot.text(label);
            snapshot.number(uses as u64);
        }
    }

    fn write_census(&self, slots: &[u32], snapshot: &mut Writer) {
        let tools = self.census.tools();
        snapshot.number(tools.len() as u64);
        for (name, figures) in tools {
            snapshot.text(name);
            snapshot.number(figures.held.into());
            snapshot.number(figures.episodes.into());
            snapshot.number(figures.failures.into());
        }
        let lessons = self.census.lessons();
        snapshot.number(lessons.len() as u64);
        for (domain, lessons) in lessons {
            snapshot.text(domain);
            snapshot.numbers(lessons.iter().map(|slot| slots[*slot as usize]));
        }
    }

    fn write_records(
        &self,
        order: &[(u32, &Entry)],
        tasks: Option<&TaskFigures>,
        snapshot: &mut Writer,
    ) -> Option<()> {
        let (mut labels, mut tools) = (Numbered::default(), Numbered::default());
        self.labels.all().into_iter().for_each(|(label, _)| _ = labels.of(label));
        self.census.tools().into_iter().for_each(|(name, _)| _ = tools.of(name));
        let expiring =
            order.iter().zip(0_u64..).filter_map(|((_, entry), slot)| entry.expires_at.map(|at| (slot, at)));
        let expiring: Vec<_> = expiring.collect();
        snapshot.number(expiring.len() as u64);
        for (slot, at) in expiring {
            snapshot.number(slot);
            snapshot.number(at.0);
        }
        snapshot.slices(order.iter().map(|(_, entry)| {
            let mut record = Writer::default();
            record.text(&entry.id);
            record.fixed(&entry.revision.clock.to_le_bytes());
            record.fixed(&entry.revision.writer.get().to_le_bytes());
            record.optional(entry.expires_at.map(|at| at.0));
            record.number(number_of(entry.state).into());
            record.number(labels.of(&entry.kind));
            record.optional(entry.domain.as_deref().map(|domain| labels.of(domain)));
            record.optional(entry.agent.as_deref().map(|agent| labels.of(agent)));
            record.fixed(&entry.score.to_bits().to_le_bytes());
            record.number(entry.at.0);
            record.number(entry.tools.len() as u64);
            for used in &entry.tools {
                record.number(tools.of(&used.name) << 1 | u64::from(used.failed));
            }
            let counted = tasks.and_then(|tasks| tasks.counted(&entry.id));
            record.number(counted.is_some().into());
            if let Some((fingerprint, steps, duration_ms)) = counted {
                record.text(fingerprint);
                record.number(steps);
                record.number(duration_ms);
            }
            record
        }))?;
        let ids = order.iter().zip(0..).map(|((_, entry), slot)| (hash(entry.id.as_bytes()), slot));
        snapshot.numbers(Lookup::make(ids, order.len()).into_iter());
        Some(())
    }

    fn write_terms(&self, order: &[(u32, &Entry)], slots: &[u32], snapshot: &mut Writer) -> Option<()> {
        // The most common first, so that their numbers are short.
        let mut terms: Vec<(u32, &str, usize)> = self.dictionary.terms().collect();
        terms.sort_unstable_by(|a, b| b.2.cmp(&a.2).then(a.1.cmp(b.1)));
        snapshot.slices(terms.iter().map(|(_, text, _)| {
            let mut term = Writer::default();
            term.fixed(text.as_bytes());
            term
        }))?;
        let texts = terms.iter().zip(0..).map(|((_, text, _), number)| (hash(text.as_bytes()), number));
        snapshot.numbers(Lookup::make(texts, terms.len()).into_iter());
        write_stems(&terms, snapshot);

        let sizes = order.iter().map(|(slot, entry)| self.terms(*slot, entry).len());
        let mut forward: Vec<Vec<TermRef>> = sizes.map(Vec::with_capacity).collect();
        let (mut numbers, mut shapes) = (Table::<(u16, u8), u64>::default(), Writer::default());
        let mut lists: Vec<Writer> = Vec::with_capacity(terms.len());
        for (number, (id, ..)) in (0..).zip(&terms) {
            let postings = self.dictionary.postings_once(*id);
            let placed = postings.iter().map(|posting| (slots[posting.slot as usize], posting));
            let mut placed: Vec<_> = placed.filter(|(slot, _)| *slot != FREE).collect();
            placed.sort_unstable_by_key(|(slot, _)| *slot);
            let mut list = Writer::default();
            list.number(placed.len() as u64);
            let mut from = 0;
            for (slot, posting) in placed {
                list.number(u64::from(slot - from));
                from = slot + 1;
                let next = numbers.len() as u64;
                let shape = *numbers.entry((posting.frequency, posting.fields)).or_insert(next);
                if shape == next {
                    shapes.number(posting.frequency.into());
                    shapes.number(posting.fields.into());
                }
                list.number(shape);
                forward[slot as usize].push(TermRef::new(number, posting.fields));
            }
            lists.push(list);
        }
        snapshot.number(numbers.len() as u64);
        snapshot.append(&shapes);
        snapshot.slices(lists.into_iter())?;
        snapshot.slices(forward.into_iter().map(|terms| {
            let mut list = Writer::default();
            list.number(terms.len() as u64);
            let mut from = 0;
            for term in terms {
                let distance = u64::from(term.id() - from);
                list.number(distance << TermRef::FLAG_BITS | u64::from(term.flags()));
                from = term.id() + 1;
            }
            list
        }))
    }

    /// Reads the output of [`Shard::write_snapshot`].
    pub(in crate::lexical) fn read_snapshot(
        namespace: &Namespace,
        kind: Kind,
        bytes: &Arc<Vec<u8>>,
        snapshot: &mut Reader<'_>,
    ) -> Option<(Self, Tasks)> {
        let mut shard = Self::new(namespace.clone(), kind);
        for field in Field::ALL {
            // The postings are weighed already.
            if snapshot.number()? != u64::from(shard.weight(field)) {
                return None;
            }
        }
        let mut parts = Parts { whole: bytes.len(), snapshot };
        let count = parts.snapshot.count(1)?;
        let labels = parts.labels(&mut shard)?;
        let tools = parts.census(&mut shard, count)?;
        let lengths = parts.numbers()?;
        shard.lengths = lengths.all(bytes);
        shard.total_length = shard.lengths.iter().map(|length| u64::from(*length)).sum();
        let states = parts.states()?;
        parts.expiring(&mut shard, count)?;
        let (records, slots) = (parts.slices()?, Lookup(parts.numbers()?));
        let (texts, terms) = (parts.slices()?, Lookup(parts.numbers()?));
        let (stems, groups) = (Lookup(parts.numbers()?), parts.numbers()?);
        let shapes = parts.shapes()?;
        let (postings, forward) = (parts.slices()?, parts.slices()?);
        let of_documents = [shard.lengths.len(), states.len(), records.len(), forward.len()];
        let of_terms = postings.len() == texts.len() && texts.len() <= TermRef::END;
        if of_documents != [count; 4] || !of_terms || u32::try_from(count).is_err() {
            return None;
        }
        let frozen = Frozen {
            bytes: bytes.clone(),
            labels,
            tools,
            shapes,
            records,
            slots,
            texts,
            terms,
            stems,
            groups,
            postings,
            forward,
        };
        let frozen = Arc::new(frozen);
        shard.dictionary = Dictionary::of_snapshot(frozen.clone());
        shard.entries = Entries::of_snapshot(frozen.clone(), states);
        shard.count = count;
        shard.frozen = Some(frozen.clone());
        Some((shard, Tasks::of_snapshot(frozen)))
    }
}

/// Returns the place of a state among all.
fn number_of(state: State) -> u8 {
    State::ALL.iter().zip(0..).find_map(|(other, number)| (*other == state).then_some(number)).unwrap_or(0)
}

/// Writes which terms have a stem in common.
fn write_stems(terms: &[(u32, &str, usize)], snapshot: &mut Writer) {
    let mut stems: Vec<_> =
        terms.iter().zip(0_u32..).filter_map(|((_, text, _), number)| Some((stem(text)?, number))).collect();
    stems.sort_unstable();
    let (mut groups, mut places) = (Vec::with_capacity(2 * stems.len()), Vec::new());
    for group in stems.chunk_by(|(a, _), (b, _)| a == b) {
        places.push((hash(group[0].0.as_bytes()), groups.len() as u32));
        groups.push(group.len() as u32);
        groups.extend(group.iter().map(|(_, number)| *number));
    }
    let count = places.len();
    snapshot.numbers(Lookup::make(places.into_iter(), count).into_iter());
    snapshot.numbers(groups.into_iter());
}

/// Reads the parts of a shard; the large ones stay where they are.
struct Parts<'i, 'b> {
    whole: usize,
    snapshot: &'i mut Reader<'b>,
}

impl Parts<'_, '_> {
    fn range(&mut self) -> Option<Range<usize>> {
        let section = self.snapshot.section()?;
        let end = self.whole - self.snapshot.len();
        Some(end - section.len()..end)
    }

    fn numbers(&mut self) -> Option<Numbers> {
        self.range().filter(|range| range.len().is_multiple_of(4)).map(Numbers)
    }

    fn slices(&mut self) -> Option<Slices> {
        Some(Slices { begins: self.numbers()?, bytes: self.range()? })
    }

    fn states(&mut self) -> Option<Vec<Option<State>>> {
        let mut states = self.snapshot.section()?;
        let numbers = std::iter::from_fn(|| states.fixed::<1>());
        Some(numbers.map(|[number]| State::ALL.get(usize::from(number)).copied()).collect())
    }

    fn labels(&mut self, shard: &mut Shard) -> Option<Vec<Arc<str>>> {
        let labels = (0..self.snapshot.count(2)?).map(|_| {
            let label: Arc<str> = self.snapshot.text()?.into();
            shard.labels.keep(label.clone(), usize::try_from(self.snapshot.number()?).ok()?);
            Some(label)
        });
        labels.collect()
    }

    /// Returns the names of the tools.
    fn census(&mut self, shard: &mut Shard, count: usize) -> Option<Vec<Arc<str>>> {
        let figure = |snapshot: &mut Reader<'_>| u32::try_from(snapshot.number()?).ok();
        let tools = (0..self.snapshot.count(4)?).map(|_| {
            let name: Arc<str> = self.snapshot.text()?.into();
            let held = figure(self.snapshot)?;
            let (episodes, failures) = (figure(self.snapshot)?, figure(self.snapshot)?);
            shard.census.keep_tool(name.clone(), ToolFigures { held, episodes, failures });
            Some(name)
        });
        let tools = tools.collect::<Option<_>>()?;
        for _ in 0..self.snapshot.count(2)? {
            let domain = self.snapshot.text()?;
            let slots = self.snapshot.section()?.numbers();
            if slots.is_empty() || slots.iter().any(|slot| *slot as usize >= count) {
                return None;
            }
            shard.census.keep_lessons(domain.into(), slots);
        }
        Some(tools)
    }

    fn expiring(&mut self, shard: &mut Shard, count: usize) -> Option<()> {
        for _ in 0..self.snapshot.count(2)? {
            let slot = self.snapshot.number()?;
            let at = Timestamp(self.snapshot.number()?);
            let slot = u32::try_from(slot).ok().filter(|slot| (*slot as usize) < count)?;
            shard.expiring.insert(slot, at);
        }
        Some(())
    }

    fn shapes(&mut self) -> Option<Vec<(u16, u8)>> {
        let shapes = (0..self.snapshot.count(2)?).map(|_| {
            let (frequency, fields) = (self.snapshot.number()?, self.snapshot.number()?);
            Some((u16::try_from(frequency).ok()?, u8::try_from(fields).ok()?))
        });
        shapes.collect()
    }
}

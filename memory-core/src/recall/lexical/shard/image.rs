//! A shard as part of an image: its documents, its terms, and which document has which term.
//!
//! The last are kept by document: most words of a document are common, so that their posting lists are at hand when one
//! document after the other is put into them. Only what does not follow from the rest is written: whatever the bytes
//! are, what is read agrees with itself.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Dictionary, Labels, Posting, Shard};
use crate::clock::Timestamp;
use crate::model::kind::Kind;
use crate::recall::Table;
use crate::recall::document::Field;
use crate::recall::lexical::census::{Census, UsedTool};
use crate::recall::lexical::entry::{Entry, State, TermRef};
use crate::recall::lexical::image::{Numbered, Reader, Writer};
use crate::recall::tasks::{TaskFigures, TaskGroup};
use crate::store::record::{Namespace, Revision, WriterId};

/// The least bytes that a document takes: its revision and its score alone.
const LEAST_DOCUMENT: usize = 20;
/// The least bytes that a posting takes: the distance from the term before, and its shape.
const LEAST_POSTING: usize = 2;

impl Shard {
    /// Appends the shard; `tasks` has what is counted of its episodes.
    pub(in crate::recall::lexical) fn write_image(&self, tasks: Option<&TaskFigures>, image: &mut Writer) {
        for field in Field::ALL {
            image.number(self.weight(field).into());
        }
        image.number(self.len() as u64);
        image.section(&self.write_documents(tasks));
        let mut texts = Writer::default();
        texts.number(self.dictionary.terms().count() as u64);
        self.dictionary.terms().for_each(|(_, text, _)| texts.text(text));
        image.section(&texts);
        image.section(&self.write_postings());
    }

    fn write_documents(&self, tasks: Option<&TaskFigures>) -> Writer {
        let (mut labels, mut tools) = (Numbered::default(), Numbered::default());
        let mut entries = Writer::default();
        for entry in self.entries.iter().flatten() {
            entries.text(&entry.id);
            entries.fixed(&entry.revision.clock.to_le_bytes());
            entries.fixed(&entry.revision.writer.get().to_le_bytes());
            entries.optional(entry.expires_at.map(|at| at.0));
            entries
                .number(State::ALL.iter().position(|state| *state == entry.state).unwrap_or_default() as u64);
            entries.number(labels.of(&entry.kind));
            entries.optional(entry.domain.as_deref().map(|domain| labels.of(domain)));
            entries.optional(entry.agent.as_deref().map(|agent| labels.of(agent)));
            entries.fixed(&entry.score.to_bits().to_le_bytes());
            entries.number(entry.at.0);
            entries.number(entry.tools.len() as u64);
            for used in &entry.tools {
                entries.number(tools.of(&used.name) << 1 | u64::from(used.failed));
            }
            let counted = tasks.and_then(|tasks| tasks.counted(&entry.id));
            entries.number(counted.is_some().into());
            if let Some((fingerprint, steps, duration_ms)) = counted {
                entries.text(fingerprint);
                entries.number(steps);
                entries.number(duration_ms);
            }
        }
        let mut documents = Writer::default();
        documents.texts(&labels);
        documents.texts(&tools);
        documents.append(&entries);
        documents
    }

    fn write_postings(&self) -> Writer {
        // By id: the number of the term among those in use, and its postings that are still to come. Their slots ascend
        // as those of the documents do.
        let mut terms: Vec<(u32, std::slice::Iter<'_, Posting>)> = Vec::new();
        let mut counts = Writer::default();
        for (number, (id, _, postings)) in (0..).zip(self.dictionary.terms()) {
            terms.resize(id as usize + 1, (number, [].iter()));
            terms[id as usize].1 = postings.iter();
            counts.number(postings.len() as u64);
        }
        let (mut numbers, mut shapes) = (Table::<(u16, u8), u64>::default(), Writer::default());
        let mut lists = Writer::default();
        for entry in self.entries.iter().flatten() {
            lists.number(entry.terms.len() as u64);
            let mut from = 0;
            for term in &entry.terms {
                let (number, postings) = &mut terms[term.id() as usize];
                let Some(posting) = postings.next() else { continue };
                lists.number(u64::from(*number - from));
                from = *number + 1;
                let next = numbers.len() as u64;
                let shape = *numbers.entry((posting.frequency, posting.fields)).or_insert(next);
                if shape == next {
                    shapes.number(posting.frequency.into());
                    shapes.number(posting.fields.into());
                }
                lists.number(shape);
            }
        }
        let mut written = Writer::default();
        written.number(self.dictionary.terms().count() as u64);
        written.append(&counts);
        written.number(numbers.len() as u64);
        written.append(&shapes);
        written.append(&lists);
        written
    }

    /// Reads what [`Shard::write_image`] has written.
    pub(in crate::recall::lexical) fn read_image(
        namespace: &Namespace,
        kind: Kind,
        image: &mut Reader<'_>,
    ) -> Option<(Self, TaskFigures)> {
        let mut shard = Self::new(namespace.clone(), kind);
        for field in Field::ALL {
            // The postings are weighed already.
            if image.number()? != u64::from(shard.weight(field)) {
                return None;
            }
        }
        let count = image.count(LEAST_DOCUMENT)?;
        let [documents, terms, postings] = [image.section()?, image.section()?, image.section()?];
        // They share nothing, so that they are read at the same time.
        let (documents, terms, postings) = std::thread::scope(|scope| {
            let documents = scope.spawn(|| Documents::read(documents, kind, count));
            let terms = scope.spawn(|| Terms::read(terms));
            let postings = Postings::read(postings, count);
            (documents.join().ok().flatten(), terms.join().ok().flatten(), postings)
        });
        let (documents, terms, postings) = (documents?, terms?, postings?);
        let entries = documents.entries.into_iter().zip(postings.of_documents);
        shard.entries = entries.map(|(entry, terms)| Some(Entry { terms, ..entry })).collect();
        shard.slots = documents.slots;
        shard.census = documents.census;
        shard.labels = documents.labels;
        shard.dictionary = terms.dictionary;
        shard.dictionary.fill(postings.of_terms)?;
        shard.forms = terms.forms;
        shard.total_length = postings.lengths.iter().map(|length| u64::from(*length)).sum();
        shard.lengths = postings.lengths;
        Some((shard, documents.tasks))
    }
}

/// The documents of a shard, without their terms.
struct Documents {
    entries: Vec<Entry>,
    slots: Table<Arc<str>, u32>,
    census: Census,
    labels: Labels,
    tasks: TaskFigures,
}

impl Documents {
    fn read(mut image: Reader<'_>, kind: Kind, count: usize) -> Option<Self> {
        let labels = image.texts()?;
        let tools: Vec<Arc<str>> = image.texts()?.into_iter().map(Arc::from).collect();
        let mut read = Self {
            entries: Vec::with_capacity(count),
            slots: Table::default(),
            census: Census::default(),
            labels: Labels::default(),
            tasks: TaskFigures::default(),
        };
        read.slots.reserve(count);
        for slot in 0..u32::try_from(count).ok()? {
            let entry = read.entry(&mut image, &labels, &tools)?;
            if kind == Kind::Episode {
                read.census.add(&entry);
            }
            if image.number()? == 1 {
                read.count(&mut image, &entry, count as u64)?;
            }
            if read.slots.insert(entry.id.clone(), slot).is_some() {
                return None;
            }
            read.entries.push(entry);
        }
        image.is_empty().then_some(read)
    }

    fn entry(&mut self, image: &mut Reader<'_>, labels: &[&str], tools: &[Arc<str>]) -> Option<Entry> {
        let id = image.text()?.into();
        let clock = u64::from_le_bytes(image.fixed()?);
        let writer = WriterId::new(u64::from_le_bytes(image.fixed()?));
        let expires_at = image.optional()?.map(Timestamp);
        let state = *at(&State::ALL, image.number()?)?;
        let kind = self.labels.share(at(labels, image.number()?)?);
        let mut label = |number: Option<u64>| match number {
            Some(number) => at(labels, number).map(|label| Some(self.labels.share(label))),
            None => Some(None),
        };
        let (domain, agent) = (label(image.optional()?)?, label(image.optional()?)?);
        let score = f32::from_bits(u32::from_le_bytes(image.fixed()?));
        let started = Timestamp(image.number()?);
        let used = (0..image.count(1)?).map(|_| {
            let number = image.number()?;
            Some(UsedTool { name: at(tools, number >> 1)?.clone(), failed: number & 1 == 1 })
        });
        let tools = used.collect::<Option<_>>()?;
        let (revision, terms) = (Revision { clock, writer }, Box::default());
        Some(Entry { id, revision, expires_at, state, kind, domain, agent, score, at: started, tools, terms })
    }

    /// Reads and counts what an episode says about its task.
    fn count(&mut self, image: &mut Reader<'_>, entry: &Entry, episodes: u64) -> Option<()> {
        let fingerprint = image.text()?;
        let steps = u32::try_from(image.number()?).ok()?;
        let duration_ms = image.number()?;
        // Sums of all are within 64 bits.
        if duration_ms > u64::MAX / episodes {
            return None;
        }
        let group = TaskGroup::of_one(entry.state == State::Success, steps, duration_ms);
        let domain = entry.domain.as_deref().unwrap_or_default();
        self.tasks.count(&entry.id, fingerprint, &entry.kind, domain, group);
        Some(())
    }
}

/// The terms of a shard, without postings.
struct Terms {
    dictionary: Dictionary,
    forms: Table<Box<str>, Vec<u32>>,
}

impl Terms {
    fn read(mut image: Reader<'_>) -> Option<Self> {
        let count = image.count(1)?;
        let mut terms = Self { dictionary: Dictionary::with_capacity(count), forms: Table::default() };
        for _ in 0..count {
            let text = image.text()?;
            let id = terms.dictionary.add(text);
            Shard::add_form(&mut terms.forms, text, id);
        }
        image.is_empty().then_some(terms)
    }
}

/// Which document of a shard has which term.
struct Postings {
    /// By id of the term, slots ascending; none is empty.
    of_terms: Vec<SmallVec<[Posting; 2]>>,
    /// By slot, ids ascending.
    of_documents: Vec<Box<[TermRef]>>,
    /// By slot: the length weighed by field, in units.
    lengths: Vec<u32>,
}

impl Postings {
    fn read(mut image: Reader<'_>, documents: usize) -> Option<Self> {
        let counts: Vec<usize> = (0..image.count(1)?).map(|_| image.count(1)).collect::<Option<_>>()?;
        let total = counts.iter().try_fold(0_usize, |total, count| total.checked_add(*count))?;
        if counts.len() > TermRef::END || total > image.len() / LEAST_POSTING {
            return None;
        }
        let shapes: Vec<(u16, u8)> = (0..image.count(2)?)
            .map(|_| {
                let (frequency, fields) = (image.number()?, image.number()?);
                Some((u16::try_from(frequency).ok()?, u8::try_from(fields).ok()?))
            })
            .collect::<Option<_>>()?;
        let mut read = Self {
            of_terms: counts.iter().map(|count| SmallVec::with_capacity(*count)).collect(),
            of_documents: Vec::with_capacity(documents),
            lengths: Vec::with_capacity(documents),
        };
        for slot in 0..u32::try_from(documents).ok()? {
            read.document(&mut image, slot, &shapes)?;
        }
        let complete =
            read.of_terms.iter().zip(&counts).all(|(list, count)| list.len() == *count && *count > 0);
        (complete && image.is_empty()).then_some(read)
    }

    fn document(&mut self, image: &mut Reader<'_>, slot: u32, shapes: &[(u16, u8)]) -> Option<()> {
        let count = image.count(LEAST_POSTING)?;
        let mut terms = Vec::with_capacity(count);
        let (mut from, mut length) = (0, 0_u32);
        for _ in 0..count {
            let id = u32::try_from(image.number()?).ok()?.checked_add(from)?;
            let (frequency, fields) = *at(shapes, image.number()?)?;
            self.of_terms.get_mut(id as usize)?.push(Posting { slot, frequency, fields });
            terms.push(TermRef::new(id, fields));
            length = length.checked_add(frequency.into())?;
            from = id + 1;
        }
        self.of_documents.push(terms.into());
        self.lengths.push(length);
        Some(())
    }
}

fn at<T>(list: &[T], number: u64) -> Option<&T> {
    list.get(usize::try_from(number).ok()?)
}

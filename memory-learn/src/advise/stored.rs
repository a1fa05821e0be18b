//! The model as bytes. The parts for answering and for further learning are separate, so that a process that
//! only answers reads the smaller one.
//!
//! Little-endian numbers; a magic number with the version first, CRC-32C last. Bytes of another version, and
//! damaged ones, are rejected: the model is then learned from the episodes again.

use std::collections::VecDeque;

use super::cases::{Case, Cases};
use super::linear::Share;
use super::mixture::{PREDICTORS, Record, Said, Verdict};
use super::model::{Learned, Model, Name};
use super::packed::Packed;
use super::params::Params;
use super::rows::Stored;
use super::rows::Tool;

/// The version of the part for answering: raised with every change of the format, of features or of the meaning
/// of numbers.
const ANSWERS: u32 = 0x4d4c_4106;
/// The part for further learning.
const LEARNS: u32 = 0x4d4c_4c08;

/// Bytes of the checksum at the end.
const CHECKSUM: usize = 4;

/// Bytes that are no model of this version, or are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

impl Model {
    /// Returns the bytes from which [`Model::decode`] makes a model for answering.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(ANSWERS);
        out.number(self.linear.episodes);
        out.bytes(&self.dropped.to_le_bytes());
        out.number(self.tools.len() as u32);
        for (place, tool) in self.tools.iter().enumerate() {
            out.text(tool);
            out.number(self.users[place]);
            out.float(self.linear.bias[place]);
        }
        for mixture in [&self.start, &self.middle, &self.recovering] {
            mixture.weights.iter().for_each(|weight| out.bytes(&weight.to_le_bytes()));
            // The infinite strength of a mixture without neighbours is not stored as a number.
            out.float(if mixture.strength.is_finite() { mixture.strength } else { 0.0 });
            out.bytes(&[u8::from(mixture.recent)]);
        }
        let mut before: Vec<_> = self.order.before.iter().collect();
        before.sort_unstable();
        out.number(before.len() as u32);
        for ((first, second), count) in before {
            out.tool(*first);
            out.tool(*second);
            out.number(*count);
        }
        out.number(self.success.len() as u32);
        for (id, f1) in &self.success {
            out.bytes(&id.to_le_bytes());
            out.float(*f1);
        }
        out.number(self.cases.held.len() as u32);
        for (id, case) in &self.cases.held {
            out.bytes(&id.to_le_bytes());
            out.bytes(&[u8::from(case.silent)]);
            out.number(case.course.len() as u32);
            for (tool, worked) in &case.course {
                out.tool(*tool);
                out.bytes(&[u8::from(*worked)]);
            }
            out.number(case.words.len() as u32);
            case.words.iter().for_each(|word| out.number(*word));
        }
        self.linear.rows.append_to(&mut out.0);
        out.sealed()
    }

    /// Makes a model that answers, but that nothing can be learned or forgotten with before [`Model::resume`].
    ///
    /// # Errors
    /// [`Damaged`] for anything that [`Model::encode`] of this version did not make.
    pub fn decode(bytes: Vec<u8>, params: Params) -> Result<Self, Damaged> {
        let mut from = Reader::new(&bytes, ANSWERS)?;
        let mut model = Self { stored: checksum_of(&bytes), ..Self::new(params) };
        model.linear.episodes = from.number()?;
        model.dropped = u64::from_le_bytes(from.array()?);
        for place in 0..from.count(12)? {
            let tool = from.text()?;
            model.users.push(from.number()?);
            model.linear.bias.push(from.float()?);
            model.places.insert(tool.clone(), place as Tool);
            model.tools.push(tool);
        }
        for mixture in [&mut model.start, &mut model.middle, &mut model.recovering] {
            for weight in &mut mixture.weights {
                *weight = f64::from_le_bytes(from.array()?);
            }
            let strength = from.float()?;
            mixture.strength = if strength > 0.0 { strength } else { f32::INFINITY };
            mixture.recent = from.array::<1>()?[0] != 0;
        }
        for _ in 0..from.count(8)? {
            let pair = (from.tool()?, from.tool()?);
            model.order.before.insert(pair, from.number()?);
        }
        for _ in 0..from.count(20)? {
            model.success.push_back((u128::from_le_bytes(from.array()?), from.float()?));
        }
        let mut cases = Vec::new();
        for _ in 0..from.count(25)? {
            let id = u128::from_le_bytes(from.array()?);
            let silent = from.array::<1>()?[0] != 0;
            let mut course = Vec::new();
            for _ in 0..from.count(3)? {
                course.push((model.known(from.tool()?)?, from.array::<1>()?[0] != 0));
            }
            let words = from.count(4)?;
            let words =
                from.take(4 * words)?.as_chunks().0.iter().map(|it| u32::from_le_bytes(*it)).collect();
            cases.push((id, Case { words, course, silent }));
        }
        model.cases = Cases::new(cases.into_iter().collect());
        let end = from.0.len();
        let rows = bytes.len() - CHECKSUM - end;
        let stored = Stored::new(bytes, rows, model.tools.len()).ok_or(Damaged)?;
        if stored.end() != Some(rows + end) {
            return Err(Damaged);
        }
        model.linear.rows = stored.into();
        Ok(model)
    }

    /// Returns the bytes that [`Model::resume`] needs in addition to these of [`Model::encode`].
    pub fn encode_learning(&self, answers: &[u8]) -> Vec<u8> {
        let mut out = Writer::new(LEARNS);
        out.number(checksum_of(answers));
        out.number(self.episodes.len() as u32);
        for learned in &self.episodes {
            out.bytes(&learned.id.to_le_bytes());
            out.bytes(&[u8::from(learned.silent)]);
            out.tools(&learned.used);
            out.tools(&learned.against);
            out.number(learned.named.len() as u32);
            learned.named.iter().for_each(|bucket| out.number(*bucket));
            out.number(learned.contradicted.len() as u32);
            for (id, loss) in &learned.contradicted {
                out.bytes(&id.to_le_bytes());
                out.float(*loss);
            }
            out.number(learned.features.as_bytes().len() as u32);
            out.bytes(learned.features.as_bytes());
            out.float(learned.share.scale);
            out.float(learned.share.faded);
            out.number(learned.share.duals.len() as u32);
            for (tool, dual) in &learned.share.duals {
                out.tool(*tool);
                out.float(*dual);
            }
        }
        let mut names: Vec<(&u32, &Name)> = self.names.iter().collect();
        names.sort_unstable_by_key(|(bucket, _)| **bucket);
        out.number(names.len() as u32);
        for (bucket, Name { episodes, is_kind, name }) in names {
            out.number(*bucket);
            out.number(*episodes);
            out.bytes(&[u8::from(*is_kind)]);
            out.text(name);
        }
        for mixture in [&self.start, &self.middle, &self.recovering] {
            out.records(&mixture.window);
        }
        out.sealed()
    }

    /// Makes a model that answers ready to learn.
    ///
    /// # Errors
    /// [`Damaged`] for anything but the bytes of [`Model::encode_learning`] for those that the model was
    /// decoded from.
    pub fn resume(mut self, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(bytes, LEARNS)?;
        if from.number()? != self.stored {
            return Err(Damaged);
        }
        for place in 0..from.count(30)? {
            let id = u128::from_le_bytes(from.array()?);
            let silent = from.array::<1>()?[0] != 0;
            let used = self.known_all(from.tools()?)?;
            let against = self.known_all(from.tools()?)?;
            let mut named = Vec::new();
            for _ in 0..from.count(4)? {
                named.push(from.number()?);
            }
            let mut contradicted = Vec::new();
            for _ in 0..from.count(20)? {
                contradicted.push((u128::from_le_bytes(from.array()?), from.float()?));
            }
            let features = from.count(1)?;
            let features = Packed::from_bytes(from.take(features)?).ok_or(Damaged)?;
            let (scale, faded) = (from.float()?, from.float()?);
            let mut duals = Vec::new();
            for _ in 0..from.count(6)? {
                duals.push((self.known(from.tool()?)?, from.float()?));
            }
            let share = Share { scale, faded, duals };
            self.ids.insert(id, place as u32);
            self.episodes.push(Learned { id, features, used, against, silent, share, named, contradicted });
        }
        if self.episodes.len() != self.linear.episodes as usize || self.ids.len() != self.episodes.len() {
            return Err(Damaged);
        }
        for _ in 0..from.count(13)? {
            let (bucket, episodes, is_kind) = (from.number()?, from.number()?, from.array::<1>()?[0] != 0);
            self.names.insert(bucket, Name { episodes, is_kind, name: from.text()?.into_boxed_str() });
        }
        for mixture in [&mut self.start, &mut self.middle, &mut self.recovering] {
            from.records(&mut mixture.window)?;
        }
        self.stored = 0;
        Ok(self)
    }

    fn known(&self, tool: Tool) -> Result<Tool, Damaged> {
        if usize::from(tool) < self.tools.len() { Ok(tool) } else { Err(Damaged) }
    }

    fn known_all(&self, tools: Vec<Tool>) -> Result<Vec<Tool>, Damaged> {
        tools.into_iter().map(|tool| self.known(tool)).collect()
    }
}

/// Returns the checksum that sealed bytes end with.
fn checksum_of(sealed: &[u8]) -> u32 {
    sealed.last_chunk::<4>().map_or(0, |checksum| u32::from_le_bytes(*checksum))
}

struct Writer(Vec<u8>);

impl Writer {
    fn new(magic: u32) -> Self {
        Self(magic.to_le_bytes().to_vec())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn float(&mut self, number: f32) {
        self.bytes(&number.to_le_bytes());
    }

    fn tool(&mut self, tool: Tool) {
        self.bytes(&tool.to_le_bytes());
    }

    fn tools(&mut self, tools: &[Tool]) {
        self.number(tools.len() as u32);
        tools.iter().for_each(|tool| self.tool(*tool));
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.bytes(text.as_bytes());
    }

    fn records(&mut self, records: &VecDeque<Record>) {
        self.number(records.len() as u32);
        for Record { id, verdicts } in records {
            self.bytes(&id.to_le_bytes());
            self.number(verdicts.len() as u32);
            for verdict in verdicts {
                self.bytes(&[u8::from(verdict.used)]);
                self.float(verdict.weight);
                verdict.said.by.iter().for_each(|said| self.float(*said));
                for (used, all) in verdict.said.near {
                    self.float(used);
                    self.float(all);
                }
            }
        }
    }

    fn sealed(mut self) -> Vec<u8> {
        let checksum = crc32c::crc32c(&self.0);
        self.number(checksum);
        self.0
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], magic: u32) -> Result<Self, Damaged> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(Damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err(Damaged);
        }
        let mut reader = Self(body);
        if reader.number()? == magic { Ok(reader) } else { Err(Damaged) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.take(N)?.try_into().map_err(|_| Damaged)
    }

    fn number(&mut self) -> Result<u32, Damaged> {
        self.array().map(u32::from_le_bytes)
    }

    fn float(&mut self) -> Result<f32, Damaged> {
        let number = f32::from_le_bytes(self.array()?);
        if number.is_finite() { Ok(number) } else { Err(Damaged) }
    }

    fn tool(&mut self) -> Result<Tool, Damaged> {
        self.array().map(Tool::from_le_bytes)
    }

    /// Reads the number of following items, each of at least this many bytes.
    fn count(&mut self, least: usize) -> Result<usize, Damaged> {
        let count = self.number()? as usize;
        if count > self.0.len() / least { Err(Damaged) } else { Ok(count) }
    }

    fn tools(&mut self) -> Result<Vec<Tool>, Damaged> {
        (0..self.count(2)?).map(|_| self.tool()).collect()
    }

    fn text(&mut self) -> Result<String, Damaged> {
        let bytes = self.number()? as usize;
        String::from_utf8(self.take(bytes)?.to_vec()).map_err(|_| Damaged)
    }

    fn records(&mut self, records: &mut VecDeque<Record>) -> Result<(), Damaged> {
        for _ in 0..self.count(20)? {
            let id = u128::from_le_bytes(self.array()?);
            let mut verdicts = Vec::new();
            for _ in 0..self.count(21 + 4 * PREDICTORS)? {
                let used = self.array::<1>()?[0] != 0;
                let weight = self.float()?;
                let mut said = Said::default();
                for said in &mut said.by {
                    *said = self.float()?;
                }
                for near in &mut said.near {
                    *near = (self.float()?, self.float()?);
                }
                verdicts.push(Verdict { said, used, weight });
            }
            records.push_back(Record { id, verdicts });
        }
        Ok(())
    }
}

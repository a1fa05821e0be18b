//! The tree of a session's lines: which task each belongs to, and which tasks the user went back from.
//!
//! A link leads to an earlier line or nowhere, so there are no cycles. A line whose parent is not in the file
//! follows the line before it in its chain. Within a task the branches do not count: the results of calls
//! that run in parallel make branches too, all of which are alive.

use std::collections::HashMap;

use super::record::{Block, Content, Record};

/// The task of a prompt: the prompt's line and all that follow from it, up to the next prompt on any branch.
pub(super) struct Turn {
    chain: usize,
    /// The task on the same branch before it.
    parent: Option<usize>,
    /// The task on the same branch after it; the living one where there are several.
    pub(super) next: Option<usize>,
    /// The user went back to before the task.
    pub(super) is_rewound: bool,
    /// Another prompt follows in the chain, so that nothing more is to come.
    pub(super) is_followed: bool,
    /// The task that started the sub-agent.
    pub(super) started_by: Option<usize>,
    /// The sub-agent's id.
    pub(super) agent_id: Option<String>,
}

pub(super) struct Tree {
    pub(super) turns: Vec<Turn>,
    /// The task of each record.
    pub(super) turn_of: Vec<Option<usize>>,
}

/// The lines of one agent.
struct Chain {
    is_side: bool,
    agent_id: Option<String>,
    /// The record before its first one in the main chain.
    started_after: Option<usize>,
    last: Option<usize>,
    last_turn: Option<usize>,
    /// The text of its first prompt.
    first_prompt: Option<String>,
    side_parent: Option<String>,
}

/// The chain of the session's own agent.
const MAIN: usize = 0;

impl Tree {
    pub(super) fn of(records: &[Record]) -> Self {
        let mut growing = Growing::new(records);
        for index in 0..records.len() {
            growing.add(index);
        }
        growing.finish()
    }
}

struct Growing<'records> {
    records: &'records [Record],
    by_uuid: HashMap<&'records str, usize>,
    chains: Vec<Chain>,
    chain_of: Vec<usize>,
    turns: Vec<Turn>,
    turn_of: Vec<Option<usize>>,
    /// The last record of each task.
    ends: Vec<usize>,
    is_task: Vec<bool>,
}

impl<'records> Growing<'records> {
    fn new(records: &'records [Record]) -> Self {
        let main = Chain {
            is_side: false,
            agent_id: None,
            started_after: None,
            last: None,
            last_turn: None,
            first_prompt: None,
            side_parent: None,
        };
        Self {
            records,
            by_uuid: HashMap::new(),
            chains: vec![main],
            chain_of: Vec::new(),
            turns: Vec::new(),
            turn_of: Vec::new(),
            ends: Vec::new(),
            is_task: tasks(records),
        }
    }

    fn add(&mut self, index: usize) {
        let record = &self.records[index];
        let named = record.parent.as_deref().and_then(|uuid| self.by_uuid.get(uuid).copied());
        let chain = self.chain(record, named);
        let is_task = self.is_task[index];
        let parent = match (named, &record.parent) {
            (Some(parent), _) if self.chain_of[parent] == chain => Some(parent),
            // The first prompt of all, or one before which the user cleared the conversation.
            (_, None) if is_task => None,
            _ => self.chains[chain].last,
        };
        let parent = parent.and_then(|parent| self.turn_of[parent]);
        let turn = if is_task { Some(self.start(record, chain, parent)) } else { parent };
        if let (Some(turn), Some(_)) = (turn, &record.uuid) {
            self.ends[turn] = index;
        }
        self.turn_of.push(turn);
        self.chain_of.push(chain);
        self.chains[chain].last = Some(index);
        if let Some(uuid) = &record.uuid {
            self.by_uuid.insert(uuid, index);
        }
    }

    fn start(&mut self, record: &Record, chain: usize, parent: Option<usize>) -> usize {
        let turn = self.turns.len();
        let its_chain = &mut self.chains[chain];
        if let Some(before) = its_chain.last_turn.replace(turn) {
            self.turns[before].is_followed = true;
        }
        if its_chain.first_prompt.is_none() {
            its_chain.first_prompt = record.prompt().map(|prompt| prompt.text.clone());
        }
        self.turns.push(Turn {
            chain,
            parent,
            next: None,
            is_rewound: false,
            is_followed: false,
            started_by: None,
            agent_id: its_chain.agent_id.clone(),
        });
        self.ends.push(0);
        turn
    }

    /// Returns the chain of a record. Side chains without an agent's id (older versions) are known by their
    /// links.
    fn chain(&mut self, record: &Record, parent: Option<usize>) -> usize {
        let Some(agent_id) = &record.side else { return MAIN };
        let found = match agent_id {
            Some(_) => self.chains.iter().position(|chain| chain.is_side && chain.agent_id == *agent_id),
            None => {
                let of_parent = parent.map(|parent| self.chain_of[parent]).filter(|chain| *chain != MAIN);
                let is_lost = record.parent.is_some() && parent.is_none();
                let last = || self.chains.iter().rposition(|chain| chain.is_side && chain.agent_id.is_none());
                of_parent.or_else(|| if is_lost { last() } else { None })
            }
        };
        found.unwrap_or_else(|| {
            self.chains.push(Chain {
                is_side: true,
                agent_id: agent_id.clone(),
                started_after: self.chains[MAIN].last,
                last: None,
                last_turn: None,
                first_prompt: None,
                side_parent: record.side_parent.clone(),
            });
            self.chains.len() - 1
        })
    }

    fn finish(mut self) -> Tree {
        self.mark_rewound();
        let starters = self.starters();
        for turn in &mut self.turns {
            turn.started_by = starters[turn.chain];
        }
        Tree { turns: self.turns, turn_of: self.turn_of }
    }

    /// Marks the tasks from which the user went back: of several that follow from the same task, the one
    /// lives on whose branch has the last line. Tasks that follow from none are not compared, since a
    /// conversation that was cleared or compacted starts anew too.
    fn mark_rewound(&mut self) {
        // A task comes after its parent, so that a branch is complete when its task is reached from the end.
        for turn in (0..self.turns.len()).rev() {
            let Some(parent) = self.turns[turn].parent else { continue };
            self.ends[parent] = self.ends[parent].max(self.ends[turn]);
            let rival = self.turns[parent].next;
            if rival.is_none_or(|rival| self.ends[turn] > self.ends[rival]) {
                self.turns[parent].next = Some(turn);
            }
        }
        for turn in 0..self.turns.len() {
            let Some(parent) = self.turns[turn].parent else { continue };
            let parent = &self.turns[parent];
            self.turns[turn].is_rewound = parent.is_rewound || parent.next != Some(turn);
        }
    }

    /// Returns for each chain the task that started its agent.
    fn starters(&self) -> Vec<Option<usize>> {
        let mut by_agent = HashMap::new();
        let mut by_prompt = HashMap::new();
        for (record, turn) in self.records.iter().zip(&self.turn_of) {
            let Some(turn) = *turn else { continue };
            match &record.content {
                Content::User { agent_id: Some(agent_id), .. } | Content::AgentStarted { agent_id } => {
                    by_agent.entry(agent_id.as_str()).or_insert(turn);
                }
                Content::Agent(message) => {
                    for prompt in message.blocks.iter().filter_map(delegated) {
                        by_prompt.entry(prompt).or_insert(turn);
                    }
                }
                _ => {}
            }
        }
        let starter = |index: usize, chain: &Chain| {
            let by_id = || by_agent.get(chain.agent_id.as_deref()?).copied();
            let by_link = || self.turn_of[*self.by_uuid.get(chain.side_parent.as_deref()?)?];
            let by_text = || by_prompt.get(chain.first_prompt.as_deref()?).copied();
            let by_place = || self.turn_of[chain.started_after?];
            let found = by_id().or_else(by_link).or_else(by_text).or_else(by_place);
            // What an agent says of itself in its own chain did not start it.
            found.filter(|turn| chain.is_side && self.turns[*turn].chain != index)
        };
        self.chains.iter().enumerate().map(|(index, chain)| starter(index, chain)).collect()
    }
}

/// Returns the prompt that a call gives to a sub-agent.
fn delegated(block: &Block) -> Option<&str> {
    match block {
        Block::Call { tool, arguments, .. } if tool == "Task" || tool == "Agent" => {
            arguments.get("prompt")?.as_str()
        }
        _ => None,
    }
}

/// Tells for each record whether it starts a task: a prompt, or a slash command about which the agent did
/// something. Commands that Claude Code carries out itself are part of no task.
fn tasks(records: &[Record]) -> Vec<bool> {
    let mut is_task = vec![false; records.len()];
    let mut agent_acts = false;
    for (index, record) in records.iter().enumerate().rev() {
        match (&record.content, record.prompt()) {
            (_, Some(prompt)) => {
                is_task[index] = !prompt.is_command || agent_acts;
                if record.side.is_none() {
                    agent_acts = false;
                }
            }
            (Content::Agent(_), _) if record.side.is_none() => agent_acts = true,
            (Content::CommandOutput, _) => agent_acts = false,
            _ => {}
        }
    }
    is_task
}

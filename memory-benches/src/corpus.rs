//! Made-up tasks with the statistics of real ones, all of one domain: words by Zipf's law, words of the domain that are
//! about equally common, families of near-duplicates, and for each use of a tool a step.

use memory_core::{
    Action, Clock, Entity, Episode, EpisodeId, EpisodeStatus, IdSource, Key, Namespace, Outcome, SeededIds,
    Step, SystemClock, Task, Timestamp, ToolUse,
};

use crate::payload::Text;

/// Words there are.
const VOCABULARY: u64 = 30_000;
/// The one domain, and its words. About one task in twenty has each of them, so that no search is narrowed by them.
const DOMAIN: &str = "support desk";
const DOMAIN_WORDS: u64 = 400;
const KINDS: [&str; 8] =
    ["debugging", "refactoring", "support", "research", "deployment", "testing", "migration", "general"];
const TOOLS: u64 = 80;
const TAGS: u64 = 200;
/// Words that every text has and no search is about.
pub(crate) const FUNCTION_WORDS: [&str; 16] =
    ["the", "a", "of", "to", "and", "in", "for", "is", "with", "that", "on", "it", "this", "be", "as", "not"];

/// One task as it was done.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    words: Vec<String>,
    kind: &'static str,
    tags: Vec<String>,
    tools: Vec<String>,
    outcome: Outcome,
}

/// Makes the task with this number; one in five is a variant of an earlier one.
pub(crate) fn task(number: u64) -> Made {
    let mut random = Text::new(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    if number >= 100 && random.below(5) == 0 {
        // The head of its family is never a variant itself: its words come from its own number.
        let mut made = original(random.below(number / 10) * 10);
        vary(&mut made.words, &mut random, 10);
        return made;
    }
    original(number)
}

fn original(number: u64) -> Made {
    let mut random = Text::new(!number);
    let length = 20 + random.below(101);
    let tags = (0..random.below(4)).map(|_| format!("tag-{}", random.skewed(TAGS))).collect();
    let tools = (0..1 + random.below(6)).map(|_| tool(random.skewed(TOOLS))).collect();
    let words = text(&mut random, length);
    let said = text(&mut random, 5 + length % 16).join(" ");
    let outcome = match random.below(20) {
        0 => Outcome::abstained(said),
        1 | 2 => Outcome::Partial { fraction: 0.5, summary: said },
        3..=6 => Outcome::failure(said),
        _ => Outcome::success(said),
    };
    Made { words, kind: KINDS[random.skewed(KINDS.len() as u64) as usize], tags, tools, outcome }
}

/// Replaces one word in so many.
fn vary(words: &mut [String], random: &mut Text, one_in: u64) {
    for place in words {
        if random.below(one_in) == 0 {
            *place = word(random.skewed(VOCABULARY));
        }
    }
}

/// What is asked: the text, and for some the domain.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) domain: Option<String>,
}

/// Makes the question with this number for a memory of the first `tasks` tasks, of 8 to 60 words: a third resemble a
/// task that was done, a third name the domain, a third are about anything.
pub(crate) fn question(number: u64, tasks: u64) -> Question {
    let mut random = Text::new(number ^ 0x5bf0_3635_d1c4_7a11);
    let length = 8 + random.below(53);
    match number % 3 {
        0 => {
            let mut words = task(random.below(tasks)).words;
            words.truncate(length as usize);
            vary(&mut words, &mut random, 5);
            Question { text: words.join(" "), domain: None }
        }
        1 => Question { text: text(&mut random, length).join(" "), domain: Some(DOMAIN.to_owned()) },
        _ => Question { text: text(&mut random, length).join(" "), domain: None },
    }
}

impl Made {
    /// All of it that can be searched, as one text.
    pub(crate) fn text(&self) -> String {
        let labels = [self.kind.to_owned(), DOMAIN.to_owned()];
        let all = self.words.iter().chain(&labels).chain(&self.tags).chain(&self.tools);
        let mut text = all.map(String::as_str).collect::<Vec<_>>().join(" ");
        text.push(' ');
        text.push_str(self.outcome.text());
        text
    }

    /// Returns it as a finished episode with its steps.
    pub(crate) fn records(&self, space: &Namespace, ids: &SeededIds, at: Timestamp) -> Vec<(Key, Entity)> {
        let mut task = Task::new(self.words.join(" ")).kind(self.kind).domain(DOMAIN);
        task.tags.clone_from(&self.tags);
        let mut episode = Episode::open(EpisodeId(ids.next(at)), task, at);
        episode.status = EpisodeStatus::Completed;
        episode.completed_at = Some(at);
        episode.outcome = Some(self.outcome.clone());
        episode.steps = self.tools.len() as u32;
        for tool in &self.tools {
            match episode.tools.iter_mut().find(|used| used.tool == *tool) {
                Some(used) => used.calls += 1,
                None => episode.tools.push(ToolUse { tool: tool.clone(), calls: 1, failures: 0 }),
            }
        }
        let steps = self.tools.iter().zip(1..).map(|(tool, number)| {
            let observation = self.words.iter().skip(number as usize).step_by(2).map(String::as_str);
            let action = Action::tool(tool)
                .arguments(serde_json::json!({ "about": self.words[0], "limit": number }))
                .observation(observation.collect::<Vec<_>>().join(" "));
            let step = Step::new(episode.id, number, 7, at, action);
            (Key::step(space, &step), Entity::Step(step))
        });
        let mut records: Vec<_> = steps.collect();
        records.push((Key::episode(space, episode.id), Entity::Episode(episode)));
        records
    }
}

/// Makes the records of the tasks from `from` up to `to`, task by task; the episode comes last.
pub(crate) fn episodes(space: &Namespace, from: u64, to: u64) -> impl Iterator<Item = Vec<(Key, Entity)>> {
    let (ids, now) = (SeededIds::new(from), SystemClock::new().now());
    (from..to).map(move |number| task(number).records(space, &ids, Timestamp(now.0 - 100_000_000 + number)))
}

fn tool(number: u64) -> String {
    format!("{}_{}", word(40 + number / 8), word(90 + number))
}

/// Makes a text: a third function words, of the others two in five from the words of the domain, and now and then an
/// identifier.
fn text(random: &mut Text, length: u64) -> Vec<String> {
    (0..length)
        .map(|_| match random.below(100) {
            0..33 => FUNCTION_WORDS[random.below(16) as usize].to_owned(),
            33..60 => word(200 + random.below(DOMAIN_WORDS) * 17),
            60 | 61 => format!("W{}", random.below(1_000_000)),
            _ => word(random.skewed(VOCABULARY)),
        })
        .collect()
}

/// Returns the word of a rank: syllables, and for one rank in three the inflected form of a more common word.
fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 25] = [
        "ba", "cor", "den", "fi", "gal", "hu", "jen", "ko", "lam", "mer", "no", "pil", "qua", "ros", "sta",
        "tem", "u", "vel", "wor", "xi", "yar", "zo", "chi", "bre", "plo",
    ];
    if rank > 60 && rank.is_multiple_of(3) {
        return word(rank / 3 - rank / 9) + ["s", "ed", "ing"][(rank / 3 % 3) as usize];
    }
    let mut word = String::new();
    let mut left = rank + 25;
    while left > 0 {
        word.push_str(SYLLABLES[(left % 25) as usize]);
        left /= 25;
    }
    word
}

impl Text {
    /// Returns a number below `bound`, all equally likely.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Returns a number below `bound` by Zipf's law, as Mandelbrot has it for words: the probability of rank `r` goes
    /// with `1 / (r + 3)`.
    fn skewed(&mut self, bound: u64) -> u64 {
        const SHIFT: f64 = 3.0;
        let uniform = self.next() as f64 / u64::MAX as f64;
        let rank = SHIFT * ((bound as f64 + SHIFT) / SHIFT).powf(uniform) - SHIFT;
        (rank as u64).min(bound - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn tasks_are_reproducible_and_like_real_ones() {
        let mut frequency: HashMap<String, u32> = HashMap::new();
        for number in 0..2_000 {
            let made = task(number);
            assert_eq!(made.text(), task(number).text());
            assert!((20..=120).contains(&made.words.len()), "{}", made.words.len());
            for word in made.words.into_iter().collect::<HashSet<_>>() {
                *frequency.entry(word).or_default() += 1;
            }
        }
        let rare = frequency.values().filter(|count| **count <= 2).count();
        assert!(rare * 3 > frequency.len(), "{rare} of {} words are rare", frequency.len());
        assert!(frequency.len() > 8_000, "{}", frequency.len());
        for number in 0..300 {
            let words = question(number, 2_000).text.split(' ').count();
            assert!((8..=60).contains(&words), "{words}");
        }
    }

    #[test]
    fn words_differ() {
        let words: HashSet<_> = (0..VOCABULARY).map(word).collect();
        assert!(words.len() as u64 * 10 > VOCABULARY * 9, "{}", words.len());
    }
}

//! Made-up tasks with the statistics of real ones: words by Zipf's law, subject areas with words of their own, families
//! of near-duplicates.

use memory_core::{
    Clock, Entity, Episode, EpisodeId, EpisodeStatus, IdSource, Key, Namespace, Outcome, SeededIds,
    SystemClock, Task, Timestamp, ToolUse,
};

use crate::payload::Text;

/// Words there are.
const VOCABULARY: u64 = 30_000;
/// Subject areas, each with words of its own.
const DOMAINS: u64 = 40;
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
    domain: u64,
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
    let domain = random.skewed(DOMAINS);
    let length = 20 + random.below(101);
    let tags = (0..random.below(4)).map(|_| format!("tag-{}", random.skewed(TAGS))).collect();
    let tools = (0..1 + random.below(6)).map(|_| tool(random.skewed(TOOLS))).collect();
    let words = text(&mut random, domain, length);
    let said = text(&mut random, domain, 5 + length % 16).join(" ");
    let outcome = match random.below(20) {
        0 => Outcome::abstained(said),
        1 | 2 => Outcome::partial(0.5, said),
        3..=6 => Outcome::failure(said),
        _ => Outcome::success(said),
    };
    Made { words, domain, kind: KINDS[random.skewed(KINDS.len() as u64) as usize], tags, tools, outcome }
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
    let domain = random.skewed(DOMAINS);
    match number % 3 {
        0 => {
            let mut words = task(random.below(tasks)).words;
            words.truncate(length as usize);
            vary(&mut words, &mut random, 5);
            Question { text: words.join(" "), domain: None }
        }
        1 => {
            Question { text: text(&mut random, domain, length).join(" "), domain: Some(domain_name(domain)) }
        }
        _ => Question { text: text(&mut random, domain, length).join(" "), domain: None },
    }
}

impl Made {
    /// All of it that can be searched, as one text.
    pub(crate) fn text(&self) -> String {
        let labels = [self.kind.to_owned(), domain_name(self.domain)];
        let all = self.words.iter().chain(&labels).chain(&self.tags).chain(&self.tools);
        let mut text = all.map(String::as_str).collect::<Vec<_>>().join(" ");
        text.push(' ');
        text.push_str(self.outcome.text());
        text
    }

    /// Returns it as a finished episode.
    pub(crate) fn episode(&self, space: &Namespace, ids: &SeededIds, at: Timestamp) -> (Key, Entity) {
        let mut task = Task::new(self.words.join(" ")).kind(self.kind).domain(domain_name(self.domain));
        task.tags.clone_from(&self.tags);
        let mut episode = Episode::open(EpisodeId(ids.next(at)), task, at);
        episode.status = EpisodeStatus::Completed;
        episode.completed_at = Some(at);
        episode.outcome = Some(self.outcome.clone());
        episode.steps = self.tools.len() as u32;
        for tool in &self.tools {
            if !episode.tools.iter().any(|used| used.tool == *tool) {
                episode.tools.push(ToolUse { tool: tool.clone(), calls: 1, failures: 0 });
            }
        }
        (Key::episode(space, episode.id), Entity::Episode(episode))
    }
}

/// Makes the episodes of the tasks from `from` up to `to`.
pub(crate) fn episodes(space: &Namespace, from: u64, to: u64) -> impl Iterator<Item = (Key, Entity)> {
    let (ids, now) = (SeededIds::new(from), SystemClock::new().now());
    (from..to).map(move |number| task(number).episode(space, &ids, Timestamp(now.0 - 100_000_000 + number)))
}

fn domain_name(domain: u64) -> String {
    format!("area {domain}")
}

fn tool(number: u64) -> String {
    format!("{}_{}", word(40 + number / 8), word(90 + number))
}

/// Makes a text: a third function words, of the others two in five from the words of the domain, and now and then an
/// identifier.
fn text(random: &mut Text, domain: u64, length: u64) -> Vec<String> {
    (0..length)
        .map(|_| match random.below(100) {
            0..33 => FUNCTION_WORDS[random.below(16) as usize].to_owned(),
            33..60 => word(200 + (domain * 700 + random.skewed(DOMAIN_WORDS) * 17) % (VOCABULARY - 200)),
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
